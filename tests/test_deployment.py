"""Dockerfile and compose.yaml read, not run: no engine is needed. tests/slow runs their commands."""

import fnmatch
import importlib.metadata
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if name != "postgres"}
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
WORKSPACE = "/opt/lt4rec/deploy/workspace.yaml"
PROGRAMS = {"python"} | {e.name for e in importlib.metadata.entry_points(group="console_scripts")}
DOCKERFILE = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
"""With each instruction in a line."""


def instructions(name, text=DOCKERFILE):
    return re.findall(rf"^{name} +(.+?) *$", text, re.MULTILINE)


LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


# compose.yaml


def test_the_services_are_those_of_a_deployment():
    assert set(SERVICES) == {"postgres", "prepare", "code", "web", "daemon"}


def test_every_variable_is_documented_in_the_example():
    used = set(re.findall(r"\$\{(\w+)", TEXT))

    assert used
    assert used - set(re.findall(r"^# (\w+)=", EXAMPLE, re.MULTILINE)) == set()


def test_a_default_is_the_one_that_the_example_shows():
    shown = dict(re.findall(r"^# (\w+)=(.+)$", EXAMPLE, re.MULTILINE))
    defaults = {name: value for name, value in re.findall(r"\$\{(\w+):-([^}]+)\}", TEXT) if name in shown}

    assert defaults
    assert {name: shown[name] for name in defaults} == defaults


def test_the_password_comes_from_the_environment_must_be_set_and_stands_in_no_address():
    required = r"^\$\{POSTGRES_PASSWORD:\?.+\}$"
    assert re.match(required, SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"])
    for service in OURS.values():
        assert re.match(required, service["environment"]["PGPASSWORD"])
        assert re.fullmatch(
            r"postgresql://(\w+)@postgres:5432/(\w+)", service["environment"]["LT4REC_POSTGRES"]
        )


def test_user_and_database_are_those_that_the_server_makes():
    made = SERVICES["postgres"]["environment"]
    url = OURS["code"]["environment"]["LT4REC_POSTGRES"]

    assert url == f"postgresql://{made['POSTGRES_USER']}@postgres:5432/{made['POSTGRES_DB']}"
    check = SERVICES["postgres"]["healthcheck"]["test"]
    assert check == ["CMD", "pg_isready", "-U", made["POSTGRES_USER"], "-d", made["POSTGRES_DB"]]


def test_images_are_pinned_to_a_patch_version():
    assert re.fullmatch(r"postgres:\d+\.\d+-\w+", SERVICES["postgres"]["image"])
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in OURS.values()} == {f"lt4rec:{version}"}
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.11\.\d+-slim-\w+", instructions("ARG")[0])


@pytest.mark.parametrize("name", OURS)
def test_a_command_and_a_health_check_run_a_program_that_a_package_installs(name):
    assert OURS[name]["command"][0] in PROGRAMS
    check = OURS[name]["healthcheck"]
    if "test" in check:
        assert check["test"][0] == "CMD"
        assert check["test"][1] in PROGRAMS
    else:
        assert (name, check) == ("prepare", {"disable": True})


def test_lt4rec_knows_the_command_that_lays_out_the_home():
    from lt4rec_assets.cli import _parser

    program, *arguments = OURS["prepare"]["command"]

    assert program == "lt4rec"
    assert _parser().parse_args(arguments)


def test_ports_agree_between_commands_health_checks_and_workspace():
    code, web = OURS["code"], OURS["web"]
    port = OURS["web"]["environment"]["DAGSTER_CODE_PORT"]
    assert code["command"][-2:] == ["-p", port]
    assert code["healthcheck"]["test"][-2:] == ["-p", port]
    assert code["expose"] == [port]
    assert OURS["web"]["environment"]["DAGSTER_CODE_HOST"] in SERVICES
    inner = web["command"][web["command"].index("-p") + 1]
    assert [p.rpartition(":")[2] for p in web["ports"]] == [inner]
    assert f"127.0.0.1:{inner}/server_info" in web["healthcheck"]["test"][-1]
    assert instructions("EXPOSE") == [f"{inner} {port}"]


def test_only_the_web_server_is_published_and_to_this_host_alone():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert list(published) == ["web"]
    assert all(port.startswith("127.0.0.1:") for port in published["web"])
    assert all(service.get("network_mode") != "host" for service in SERVICES.values())


def test_nothing_starts_before_what_it_needs_is_healthy():
    order = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }

    assert order == {
        "postgres": {},
        "prepare": {"postgres": "service_healthy"},
        "code": {"prepare": "service_completed_successfully"},
        "web": {"code": "service_healthy"},
        "daemon": {"code": "service_healthy"},
    }
    assert OURS["prepare"]["restart"] == "no"


def test_what_must_last_lies_in_volumes_that_are_declared():
    home = f"home:{OURS['code']['environment']['LT4REC_HOME']}"
    assert all(home in service["volumes"] for service in OURS.values())
    assert OURS["code"]["environment"]["DAGSTER_HOME"].startswith(home.partition(":")[2] + "/")
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql/data"]
    assert set(COMPOSE["volumes"]) == {"home", "postgres", "logs"}


def test_the_home_of_the_image_is_that_of_the_services():
    for name in ("LT4REC_HOME", "DAGSTER_HOME"):
        assert f"{name}={OURS['code']['environment'][name]}" in instructions("ENV", LAST_STAGE)[0].split()


def test_the_workspace_is_the_code_location_by_its_name():
    (entry,) = yaml.safe_load((ROOT / "deploy" / "workspace.yaml").read_text())["load_from"]
    local = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"][0]["python_module"]

    server = entry["grpc_server"]
    assert server["location_name"] == local["location_name"]
    assert {v["env"] for v in (server["host"], server["port"])} <= set(OURS["web"]["environment"])
    assert local["module_name"] in OURS["code"]["command"]
    for name in ("web", "daemon"):
        assert OURS[name]["command"][-2:] == ["-w", WORKSPACE]


# Dockerfile


def sources():
    copies = [text.split() for text in instructions("COPY") if not text.startswith("--from")]
    return [source for *found, _ in copies for source in found]


@pytest.mark.parametrize("source", sources())
def test_what_is_copied_exists_and_is_not_ignored(source):
    assert (ROOT / source).exists()
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    ignored = False
    for line in lines:  # the last that fits decides
        pattern = line.removeprefix("!")
        if fnmatch.fnmatch(source, pattern) or fnmatch.fnmatch(source.split("/")[0], pattern):
            ignored = not line.startswith("!")
    assert not ignored


def test_secrets_and_homes_are_not_sent_to_the_build():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]

    assert lines[0] == "*"
    assert not [line for line in lines if re.match(r"!\.(env|lt4rec|git)|!shared", line)]


def test_what_the_package_reads_beside_itself_is_in_the_image():
    from lt4rec_assets.home import TEMPLATE
    from lt4rec_assets.settings import SQL_ROOT

    beside = {path.relative_to(ROOT).as_posix() for path in (TEMPLATE, SQL_ROOT)}

    assert beside <= set(sources())
    copied = [text.split() for text in instructions("COPY", LAST_STAGE)]
    assert ["deploy/workspace.yaml", WORKSPACE.rpartition("/")[0] + "/"] in copied
    assert ["--from=build", "/opt/lt4rec", "/opt/lt4rec"] in copied


def test_versions_come_from_the_lock_and_extras_exist():
    lock = (ROOT / "requirements.lock").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (chosen,) = [arg.partition("=")[2] for arg in instructions("ARG") if arg.startswith("EXTRAS=")]

    assert set(chosen.split(",")) <= set(extras)
    assert re.search(r"pip install .*-c requirements.lock -e", DOCKERFILE)
    for name in ("torch", "setuptools", "dagster-postgres", "psycopg2-binary"):
        assert re.search(rf"^{name}==", lock, re.MULTILINE)


def test_the_image_runs_as_a_user_with_a_number_and_checks_itself():
    (user,) = instructions("USER")

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"--uid {user.partition(':')[0]} " in DOCKERFILE
    (check,) = instructions("HEALTHCHECK")
    assert json.loads(check[check.index("[") :]) == OURS["code"]["healthcheck"]["test"][1:]
    (command,) = instructions("CMD", LAST_STAGE)
    assert json.loads(command) == OURS["code"]["command"]


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint is not installed")
def test_hadolint_finds_nothing():
    done = subprocess.run(["hadolint", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
