//! The command line.

use clap::{Parser, Subcommand};

use crate::commands;

/// Opens BitLocker drives on any computer and keeps their recovery keys in an account
///
/// The account stays protected by two-factor authentication while keys are saved, and its server cannot read them.
#[derive(Debug, Parser)]
#[command(name = "keyhaven", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 done, 1 a well-formed no (wrong key, not BitLocker, refused), 2 could not try.")]
pub(crate) struct Arguments {
    /// Report as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the BitLocker drives of this computer, or those inside disk images
    Drives(commands::drives::DrivesArgs),
    /// What a drive is: method, state, key protectors, health of its metadata; needs no key
    Info(commands::info::InfoArgs),
    /// Whether a key opens the drive, and which protector it belongs to; writes nothing
    Verify(commands::verify::VerifyArgs),
    /// List the files of a drive, without mounting it
    Ls(commands::ls::LsArgs),
    /// Show the folders and files of a drive as a tree
    Tree(commands::tree::TreeArgs),
    /// Find files of a drive by name, kind, size or date
    Find(commands::find::FindArgs),
    /// Write files of a drive to standard output
    Cat(commands::cat::CatArgs),
    /// Copy files and folders of a drive to this computer
    Cp(commands::cp::CpArgs),
    /// Write files and folders of a drive to standard output as a tar archive
    Tar(commands::tar::TarArgs),
    /// Mount a drive on a folder of this computer
    #[cfg(all(feature = "mount", target_os = "linux"))]
    Mount(commands::mount::MountArgs),
    /// Take down a mount of `keyhaven mount`
    #[cfg(all(feature = "mount", target_os = "linux"))]
    Unmount(commands::mount::UnmountArgs),
    /// Give other programs a drive: as a network block device, or its files over WebDAV
    #[cfg(feature = "export")]
    Export {
        /// How
        #[command(subcommand)]
        command: commands::export::ExportCommand,
    },
    /// Write the plain volume to a file, or decrypt the drive where it lies
    Decrypt(commands::decrypt::DecryptArgs),
    /// Encrypt a drive where it lies: its files stay, and it can be paused and resumed
    Encrypt(commands::encrypt::EncryptArgs),
    /// Go on encrypting or decrypting a drive in place
    Resume(commands::convert::ResumeArgs),
    /// Pause the encrypting or decrypting of a drive that runs elsewhere on this computer
    Pause(commands::convert::PauseArgs),
    /// Rescue a damaged drive: its data to a file, or its metadata and header where it lies
    Repair(commands::repair::RepairArgs),
    /// Make a new, empty BitLocker volume in an image file or on a device
    Create(commands::create::CreateArgs),
    /// Back up the recovery key of a drive: to your account, to a file, onto paper
    Backup(commands::backup::BackupArgs),
    /// Find a recovery key of which some digits cannot be read or are wrong
    Solve(commands::solve::SolveArgs),
    /// The keys that open a drive: list, add, change, remove
    Protectors {
        /// What to do
        #[command(subcommand)]
        command: commands::protectors::ProtectorsCommand,
    },
    /// Replace the recovery key of a drive: the new one is saved before the old one goes
    Rotate(commands::rotate::RotateArgs),
    /// Suspend the protection of a drive: until `unsuspend` everybody can open it
    Suspend(commands::suspend::SuspendArgs),
    /// Resume the protection of a drive
    Unsuspend(commands::suspend::UnsuspendArgs),
    /// Your account: sign up, sign in, sign out, show
    Account {
        /// What to do
        #[command(subcommand)]
        command: commands::account::AccountCommand,
    },
    /// The second factors of your account
    Factors {
        /// What to do
        #[command(subcommand)]
        command: commands::factors::FactorsCommand,
    },
    /// The computers that may save keys to your account
    Device {
        /// What to do
        #[command(subcommand)]
        command: commands::device::DeviceCommand,
    },
    /// The recovery keys in your account
    Keys {
        /// What to do
        #[command(subcommand)]
        command: commands::keys::KeysCommand,
    },
    /// Who did what with your account
    Audit {
        /// What to do
        #[command(subcommand)]
        command: commands::audit::AuditCommand,
    },
    /// Run the account service
    #[cfg(feature = "serve")]
    Serve(Box<commands::serve::ServeArgs>),
    /// Open the control panel for the drives of this computer in the browser
    #[cfg(feature = "panel")]
    Up(commands::up::UpArgs),
    /// Write the completions of a shell to standard output
    Completions(commands::completions::CompletionsArgs),
    /// Write manual pages
    Man(commands::man::ManArgs),
}
