//! `keyhaven completions`: what a shell needs to complete command lines.

use std::io::{Write, stdout};

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell as Generated;

use super::listed::not_written;
use crate::args::Arguments;
use crate::failure::Outcome;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven completions bash > /etc/bash_completion.d/keyhaven\n\n\
    For one account: `keyhaven completions bash > ~/.local/share/bash-completion/completions/keyhaven`; for zsh a file \
    `_keyhaven` in a folder of $fpath; for fish `~/.config/fish/completions/keyhaven.fish`; for PowerShell \
    `keyhaven completions powershell | Out-String | Invoke-Expression` in $PROFILE.")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

pub(crate) fn run(arguments: &CompletionsArgs) -> Outcome {
    let shell = match arguments.shell {
        Shell::Bash => Generated::Bash,
        Shell::Zsh => Generated::Zsh,
        Shell::Fish => Generated::Fish,
        Shell::Powershell => Generated::PowerShell,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "keyhaven", &mut script);
    let mut out = stdout().lock();
    out.write_all(&script).and_then(|()| out.flush()).map_err(|error| not_written(&error))
}
