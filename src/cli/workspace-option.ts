import type { Command } from "commander";

/** Adds `--workspace` to a command. */
export function withWorkspace(command: Command): Command {
  return command.option(
    "--workspace <folder>",
    "folder of the workspace (default: $APPORTION_WORKSPACE, or .apportion here)",
  );
}

/** The folder that a command works on. */
export function workspaceFolder(flag: string | undefined): string {
  return flag ?? process.env.APPORTION_WORKSPACE ?? ".apportion";
}
