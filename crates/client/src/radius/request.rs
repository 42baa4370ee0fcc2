//! What is asked.

use std::fmt;
use std::time::SystemTime;

use doorward_radius::attribute::kind;
use doorward_radius::build::{BuildError, PacketBuilder};
use doorward_radius::challenge::{MICROSOFT, MsChap2, chap, microsoft};
use doorward_radius::{Code, Secret};
use doorward_tacacs::ChallengeMethod;
use zeroize::Zeroizing;

use super::{Ask, Error};

/// Values of Acct-Status-Type (RFC 2866 section 5.1).
pub mod status_type {
    /// A session begins.
    pub const START: u32 = 1;
    /// A session ends.
    pub const STOP: u32 = 2;
    /// A session goes on.
    pub const INTERIM_UPDATE: u32 = 3;
    /// The device begins to report.
    pub const ACCOUNTING_ON: u32 = 7;
    /// The device ends reporting.
    pub const ACCOUNTING_OFF: u32 = 8;
}

/// How the user proves who it is.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Proof<'a> {
    /// A password of at most 128 octets, hidden by the shared secret only.
    Pap(&'a [u8]),
    /// The answer to a random challenge with this secret.
    Chap(&'a [u8]),
    /// MS-CHAPv2 with this secret, where the server has to prove that it knows it as well.
    MsChapV2(&'a [u8]),
    /// Nothing: for questions about a user, which most servers reject.
    None,
}

impl fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pap(_) => "Pap(..)",
            Self::Chap(_) => "Chap(..)",
            Self::MsChapV2(_) => "MsChapV2(..)",
            Self::None => "None",
        })
    }
}

/// One request, from which a packet is made for each connection it is sent on.
pub struct Request {
    code: Code,
    attributes: Vec<Attribute>,
    password: Option<Zeroizing<Vec<u8>>>,
    mschap: Option<ServerProof>,
}

/// What the server has to show in return.
struct ServerProof {
    response: MsChap2,
    user: Vec<u8>,
    secret: Zeroizing<Vec<u8>>,
}

#[derive(Clone)]
struct Attribute {
    vendor: Option<u32>,
    path: Vec<u8>,
    value: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("code", &self.code)
            .field("attributes", &self.attributes.len())
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Whether a user may log in. A name that is empty is not sent.
    ///
    /// # Errors
    /// There is no answer to a challenge with the secret, or there are no random numbers.
    pub fn access(user: &str, proof: Proof<'_>) -> Result<Self, Error> {
        let mut this = Self::new(Code::ACCESS_REQUEST);
        if !user.is_empty() {
            this = this.with(kind::USER_NAME, user.as_bytes());
        }
        match proof {
            Proof::None => {}
            Proof::Pap(password) => this.password = Some(Zeroizing::new(password.to_vec())),
            Proof::Chap(secret) => {
                let [id, challenge @ ..] = random::<17>()?;
                let value = [&[id][..], &chap(id, &challenge, secret)].concat();
                this = this
                    .with(kind::CHAP_PASSWORD, &value)
                    .with(kind::CHAP_CHALLENGE, &challenge);
            }
            Proof::MsChapV2(secret) => this.add_mschap(user, secret)?,
        }
        Ok(this)
    }

    /// That something happened: `status` is one of [`status_type`]. It carries the time of the call as Event-Timestamp,
    /// however late it is sent (RFC 6614bis section 6.2.3), and no Acct-Delay-Time.
    pub fn accounting(status: u32) -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let now = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        Self::new(Code::ACCOUNTING_REQUEST)
            .with(kind::ACCT_STATUS_TYPE, &status.to_be_bytes())
            .with(kind::EVENT_TIMESTAMP, &now.to_be_bytes())
    }

    fn new(code: Code) -> Self {
        Self {
            code,
            attributes: Vec::new(),
            password: None,
            mschap: None,
        }
    }

    /// The same with the device's name as NAS-Identifier: every request has to say which device asks
    /// (RFC 2865 section 4.1).
    #[must_use]
    pub fn from_nas(self, name: &str) -> Self {
        self.with(kind::NAS_IDENTIFIER, name.as_bytes())
    }

    /// The same with one more attribute of the standard space; see [`Request::push`].
    #[must_use]
    pub fn with(mut self, kind: u8, value: &[u8]) -> Self {
        self.push(None, &[kind], value);
        self
    }

    /// Adds an attribute: of a vendor or of the standard space; `path` has its number, and for the extended types 241 to
    /// 246 the number after it. What does not fit is told when the request is sent.
    pub fn push(&mut self, vendor: Option<u32>, path: &[u8], value: &[u8]) {
        self.attributes.push(Attribute {
            vendor,
            path: path.to_vec(),
            value: value.to_vec(),
        });
    }

    /// Takes all attributes of this type out, of the standard space.
    pub fn remove(&mut self, kind: u8) {
        self.attributes
            .retain(|one| one.vendor.is_some() || one.path != [kind]);
    }

    /// Whether it has such an attribute of the standard space.
    pub fn has(&self, kind: u8) -> bool {
        let mut attributes = self.attributes.iter();
        attributes.any(|one| one.vendor.is_none() && one.path == [kind])
    }

    fn add_mschap(&mut self, user: &str, secret: &[u8]) -> Result<(), Error> {
        let ([id], challenge, peer_challenge) = (random()?, random::<16>()?, random()?);
        let data = ChallengeMethod::MsChapV2
            .respond(id, &challenge, &peer_challenge, user.as_bytes(), secret)
            .map_err(Error::Challenge)?;
        // As TACACS+ has it: identifier, challenge, and the response of RFC 2759 with its flags.
        let response = data.get(17..).unwrap_or_default();
        let (flags, fields) = response.split_last().unwrap_or((&0, &[]));
        let value = [&[id, *flags][..], fields].concat();
        let parsed = MsChap2::parse(&challenge, &value);
        self.mschap = parsed.map(|response| ServerProof {
            response,
            user: user.as_bytes().to_vec(),
            secret: Zeroizing::new(secret.to_vec()),
        });
        self.push(Some(MICROSOFT), &[microsoft::CHAP_CHALLENGE], &challenge);
        self.push(Some(MICROSOFT), &[microsoft::CHAP2_RESPONSE], &value);
        Ok(())
    }

    fn fill(&self, packet: &mut PacketBuilder, secret: &Secret) -> Result<(), BuildError> {
        // First, so that nobody can put anything before it; others are signed by their authenticator.
        if self.code == Code::ACCESS_REQUEST {
            packet.message_authenticator()?;
        }
        for Attribute {
            vendor,
            path,
            value,
        } in &self.attributes
        {
            match (vendor, path.as_slice()) {
                (Some(vendor), [kind]) => packet.push_vendor(*vendor, *kind, value)?,
                (None, [kind]) => packet.push(*kind, value)?,
                (None, [kind, extended]) => packet.push_extended(*kind, *extended, value)?,
                _ => return Err(BuildError::Kind),
            };
        }
        if let Some(password) = &self.password {
            packet.push_password(password, secret)?;
        }
        Ok(())
    }

    /// Whether the server has shown that it knows the secret, where it had to: `success` is the value of its
    /// MS-CHAP2-Success.
    pub(super) fn is_proven(&self, success: Option<&[u8]>) -> bool {
        let Some(proof) = &self.mschap else {
            return true;
        };
        let wanted = proof.response.success(&proof.user, &proof.secret);
        let Some((wanted, (id, text))) = wanted.zip(success.and_then(<[u8]>::split_first)) else {
            return false;
        };
        *id == proof.response.id && text.starts_with(wanted.as_bytes())
    }
}

impl Ask for Request {
    fn build(&self, id: u8, secret: &Secret) -> Result<Vec<u8>, Error> {
        let mut packet = PacketBuilder::request(self.code, id, random()?);
        self.fill(&mut packet, secret).map_err(Error::Request)?;
        Ok(packet.finish(secret))
    }
}

/// A new Status-Server for the connection of an id of its own (RFC 5997 section 4.1).
pub(super) fn status_server(secret: &Secret) -> Result<Vec<u8>, Error> {
    let id = doorward_radius::ids::STATUS_ID;
    let mut packet = PacketBuilder::request(Code::STATUS_SERVER, id, random()?);
    packet.message_authenticator().map_err(Error::Request)?;
    Ok(packet.finish(secret))
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(|_| Error::Random)?;
    Ok(octets)
}
