"""What ``lt4rec`` can do, a module per family of commands: each adds its parser and runs it."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
    """What a family adds its commands to."""
