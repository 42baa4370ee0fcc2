//! The revocation lists of a profile on disk: which file each came from, and reading them again when one has changed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use doorward_tls::{Der, Trust, pem};

use super::CrlFile;

/// The files, as they were when they were read last.
#[derive(Debug)]
pub struct CrlFiles {
    trust: Arc<Trust>,
    paths: Vec<PathBuf>,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    stamps: Vec<Option<Stamp>>,
    /// The file of each list, in the order in which the trust got them.
    origins: Vec<PathBuf>,
}

/// What tells one content of a file from the next without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    octets: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Stamp {
    fn of(path: &PathBuf) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self {
            modified: about.modified().ok()?,
            octets: about.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&about),
        })
    }
}

/// What came of a look at the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrlChange {
    /// None of them has changed.
    None,
    /// The new lists are in force; these do not count, and why.
    InForce(Vec<String>),
    /// A file cannot be used: the lists from before stay in force.
    Unusable(String),
}

impl CrlFiles {
    /// `paths` without doubles, in the order of the file; `origins` says which of them each list came from.
    pub(super) fn new(trust: Arc<Trust>, paths: Vec<PathBuf>, origins: Vec<PathBuf>) -> Self {
        let stamps = paths.iter().map(Stamp::of).collect();
        Self {
            trust,
            paths,
            read: Mutex::new(Read { stamps, origins }),
        }
    }

    /// The lists that count, with their files.
    pub fn lists(&self) -> Vec<CrlFile> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let lists = self.trust.crls().into_iter();
        lists
            .map(|list| CrlFile {
                file: read.origins.get(list.crl).cloned().unwrap_or_default(),
                issuer: list.issuer,
                this_update: list.this_update,
                next_update: list.next_update,
            })
            .collect()
    }

    /// Reads the files again if one of them has changed since they were read last. Blocks on the disk. A file that cannot
    /// be used is told once for each of its changes.
    pub fn refresh(&self) -> CrlChange {
        let stamps: Vec<_> = self.paths.iter().map(Stamp::of).collect();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.stamps == stamps {
            return CrlChange::None;
        }
        read.stamps = stamps;
        match self.read_again() {
            Ok((lists, origins)) => match self.trust.replace_crls(&lists) {
                Ok(warnings) => {
                    read.origins = origins;
                    let said = warnings.into_iter().map(|warning| {
                        format!("the list of {}: {}", warning.issuer, warning.problem)
                    });
                    CrlChange::InForce(said.collect())
                }
                Err(error) => CrlChange::Unusable(error.to_string()),
            },
            Err(why) => CrlChange::Unusable(why),
        }
    }

    fn read_again(&self) -> Result<(Vec<Der>, Vec<PathBuf>), String> {
        let (mut lists, mut origins) = (Vec::new(), Vec::new());
        for path in &self.paths {
            let told = |error: String| format!("{}: {error}", path.display());
            let octets = std::fs::read(path).map_err(|error| told(error.to_string()))?;
            for list in pem::crls(&octets).map_err(|error| told(error.to_string()))? {
                lists.push(list);
                origins.push(path.clone());
            }
        }
        Ok((lists, origins))
    }
}
