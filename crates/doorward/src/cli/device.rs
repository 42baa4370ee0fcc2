//! `doorward device`: what a device needs to be known.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use doorward_tls::{PskError, PskIdentity};
use zeroize::Zeroizing;

use super::{FAULT, USAGE, complain, say};

/// Octets of a new key: as many as the hash it is bound to has.
const KEY: usize = 32;

/// What a device needs to be known
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Psk(PskArgs),
}

/// Make a pre-shared key for a device, and print the two lines the device needs
///
/// The key goes into a new file that only its owner can read. An old file is never overwritten.
#[derive(Debug, clap::Args)]
struct PskArgs {
    /// The device's name
    name: String,
    /// How the device calls its key in the handshake, where anybody can read it; the name without it
    #[arg(long, value_name = "ID")]
    identity: Option<String>,
    /// The new file of the key; NAME.psk in this folder without it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Runs `device`.
pub(super) fn run(args: Args) -> ExitCode {
    let Command::Psk(args) = args.command;
    match psk(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            complain(&trouble);
            ExitCode::from(match trouble {
                Trouble::Name | Trouble::Identity(_) => USAGE,
                Trouble::Random | Trouble::File(..) => FAULT,
            })
        }
    }
}

fn psk(args: PskArgs) -> Result<(), Trouble> {
    let PskArgs {
        name,
        identity,
        file,
    } = args;
    if name.is_empty() || name.chars().any(|one| one.is_control() || one == '/') {
        return Err(Trouble::Name);
    }
    let identity = identity.unwrap_or_else(|| name.clone());
    PskIdentity::new(identity.as_bytes()).map_err(Trouble::Identity)?;
    let file = file.unwrap_or_else(|| PathBuf::from(format!("{name}.psk")));
    let file = std::path::absolute(&file).unwrap_or(file);
    let mut key = Zeroizing::new([0; KEY]);
    getrandom::fill(&mut *key).map_err(|_| Trouble::Random)?;
    let mut digits = Zeroizing::new(String::with_capacity(2 * KEY));
    for octet in key.iter() {
        _ = write!(digits, "{octet:02x}");
    }
    keep(&file, &digits).map_err(|error| Trouble::File(file.clone(), error))?;
    say(&format!("identity {identity}"));
    say(&format!("key {}", *digits));
    let quoted = |text: &str| toml::Value::String(text.to_owned());
    complain(&format_args!(
        "The two lines above are for the device. For this server the key is in {}; put into its configuration:\n\n[device.{}]\npsk = {{ identity = {}, key = {} }}\n\nand \"psk\" into `auth` of the [[listen]] it comes to.",
        file.display(),
        quoted(&name),
        quoted(&identity),
        quoted(&format!("file:{}", file.display())),
    ));
    Ok(())
}

fn keep(file: &PathBuf, digits: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(file)?;
    writeln!(file, "{digits}")?;
    file.sync_all()
}

enum Trouble {
    Name,
    Identity(PskError),
    Random,
    File(PathBuf, std::io::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str(
                "error: the name is no name of a device: it is empty, or has a slash or a control character",
            ),
            Self::Identity(error) => write!(f, "error: --identity cannot be used: {error}"),
            Self::Random => f.write_str("error: the operating system gave no random octets"),
            Self::File(file, error) if error.kind() == std::io::ErrorKind::AlreadyExists => write!(
                f,
                "error: no key was made: there is a file already, which is left as it is\n  --> {}\n  help: name another file with --file; to change the key of a device, move the old file away first",
                file.display()
            ),
            Self::File(file, error) => write!(
                f,
                "error: no key was made, because it cannot be kept: {error}\n  --> {}\n  help: name a file in a folder that can be written with --file",
                file.display()
            ),
        }
    }
}
