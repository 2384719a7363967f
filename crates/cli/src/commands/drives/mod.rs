//! `keyhaven drives`: the BitLocker volumes of this computer, or inside images.

mod listing;

use std::path::{Path, PathBuf};

use clap::Args;
use drive_ops::drives::{HostDrives, Survey, in_image, of_host, of_this_computer};

use crate::failure::Outcome;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "Example: keyhaven drives\nExample: keyhaven drives whole-disk.vhdx")]
pub(crate) struct DrivesArgs {
    /// Images or devices to look into, instead of the drives of this computer
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Where the kernel tells its devices
    #[arg(long, hide = true, value_name = "DIR", default_value = "/sys")]
    sys_root: PathBuf,
    /// Where devices are
    #[arg(long, hide = true, value_name = "DIR", default_value = "/dev")]
    dev_root: PathBuf,
}

pub(crate) fn run(arguments: &DrivesArgs, json: bool) -> Outcome {
    if arguments.paths.is_empty() {
        let Survey { listed, skipped, .. } = of_host(&*host(arguments))?;
        listing::report(&listed, &skipped, "No BitLocker drive was found on this computer.\n", json)?;
        listing::tell_skipped(&skipped);
        return Ok(());
    }
    let (mut listed, mut failure) = (Vec::new(), None);
    for path in &arguments.paths {
        // The other images are looked into all the same.
        match in_image(path) {
            Ok(survey) => listed.extend(survey.listed),
            Err(failed) => {
                if let Some(earlier) = failure.replace(failed) {
                    output::failure(&earlier, json);
                }
            }
        }
    }
    listing::report(&listed, &[], "No BitLocker volume was found there.\n", json)?;
    failure.map_or(Ok(()), Err)
}

fn host(arguments: &DrivesArgs) -> Box<dyn HostDrives> {
    of_this_computer(&arguments.sys_root, &arguments.dev_root)
}

/// How other commands name the BitLocker volumes of this computer.
pub(crate) fn found_on_host() -> Outcome<Vec<PathBuf>> {
    let Survey { listed, .. } = of_host(&*of_this_computer(Path::new("/sys"), Path::new("/dev")))?;
    Ok(listed.iter().map(|listed| listed.name.as_str().into()).collect())
}
