// Draws each chart anew as wide as its place, to be pointed at; where that fails, the picture stays.
(async () => {
  "use strict";
  for (const figure of document.querySelectorAll("figure")) {
    const place = figure.querySelector(".chart");
    const data = figure.querySelector("script[type='application/json']");
    if (!place || !data) continue;
    const still = [...place.childNodes];
    const live = document.createElement("div");
    place.replaceChildren(live);
    try {
      await vegaEmbed(live, JSON.parse(data.textContent), {
        mode: "vega-lite",
        renderer: "svg",
        actions: false,
        ast: true, // expressions are interpreted, so the page may forbid eval
        defaultStyle: false,
        tooltip: { disableDefaultStyle: true },
      });
      figure.dataset.drawn = "yes";
    } catch (error) {
      place.replaceChildren(...still);
      console.error(figure.id, error);
    }
  }
  document.documentElement.dataset.drawn = "all";
})();
