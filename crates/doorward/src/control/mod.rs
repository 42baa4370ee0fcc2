//! The control socket: one JSON line in, one JSON line out.
//!
//! A Unix socket of mode 0600: who may open it may reload. It knows `reload`, `status` and `order`, and nothing that reads a secret.

mod client;

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

pub use client::{AskError, ask};

use crate::runtime::{Ordered, Reloaded, Server, Status};

/// Octets of one request line: an order has at most a packet of attributes.
const LINE: u64 = 32 * 1024;
/// Time for a request line to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// Conversations at once.
const CLIENTS: usize = 16;

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// Read the configuration again.
    Reload,
    /// Tell the state.
    Status {
        /// With the list of devices.
        #[serde(default)]
        devices: bool,
    },
    /// Tell a device to end or change a session (RFC 5176).
    Order(OrderRequest),
}

/// An order for a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRequest {
    /// The device's name.
    pub device: String,
    /// Disconnect-Request rather than CoA-Request.
    pub disconnect: bool,
    /// Name and value of each attribute.
    pub attributes: Vec<(String, String)>,
    /// How long the answer is waited for.
    pub seconds: u32,
}

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Response {
    /// The new configuration is in force.
    Reloaded(Reloaded),
    /// The old configuration serves on.
    Refused {
        /// Why, rendered for people.
        error: String,
    },
    /// The state.
    Status(Box<Status>),
    /// What the device answered.
    Ordered(Ordered),
    /// The request was not understood.
    Invalid {
        /// Why.
        error: String,
    },
}

/// The open socket; its file is removed on drop.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Opens the socket at `path`, with mode 0600 from its first moment. A file left by a server that is gone is replaced.
    ///
    /// # Errors
    /// What the operating system says; `AddrInUse` when another server answers there.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder)?;
        }
        match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.file_type().is_socket() => {
                if std::os::unix::net::UnixStream::connect(path).is_ok() {
                    return Err(std::io::Error::new(
                        std::io::ErrorKind::AddrInUse,
                        "another doorward answers on this control socket",
                    ));
                }
                std::fs::remove_file(path)?;
            }
            Ok(_) => {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::AlreadyExists,
                    "there is a file of that name which is no socket",
                ));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // Bound under another name and moved, so that nobody can connect before the mode is set.
        let fresh = path.with_extension(format!("new-{}", std::process::id()));
        let listener = UnixListener::bind(&fresh)?;
        let placed = std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))
            .and_then(|()| std::fs::rename(&fresh, path));
        if let Err(error) = placed {
            _ = std::fs::remove_file(&fresh);
            return Err(error);
        }
        Ok(Self {
            listener,
            path: path.to_path_buf(),
        })
    }

    /// Answers until the task is stopped.
    pub async fn serve(self, server: Arc<Server>) {
        let places = Arc::new(Semaphore::new(CLIENTS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let server = Arc::clone(&server);
                    tokio::spawn(async move {
                        if let Err(error) = converse(stream, &server).await {
                            tracing::debug!(%error, "a conversation on the control socket broke off");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "the control socket does not accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.path);
    }
}

async fn converse(stream: UnixStream, server: &Arc<Server>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let mut reader = BufReader::new(read.take(LINE));
    tokio::time::timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await??;
    let response = match serde_json::from_slice(&line) {
        Ok(Request::Reload) => match server.reload().await {
            Ok(reloaded) => Response::Reloaded(reloaded),
            Err(error) => Response::Refused { error },
        },
        Ok(Request::Status { devices }) => Response::Status(Box::new(server.status(devices))),
        Ok(Request::Order(order)) => match server.order(&order).await {
            Ok(ordered) => Response::Ordered(ordered),
            Err(error) => Response::Refused { error },
        },
        Err(error) => Response::Invalid {
            error: error.to_string(),
        },
    };
    let mut text = serde_json::to_vec(&response)?;
    text.push(b'\n');
    write.write_all(&text).await?;
    write.shutdown().await
}
