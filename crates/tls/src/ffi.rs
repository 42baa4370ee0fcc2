//! What the `openssl` crate lacks for external keys in TLS 1.3 and for DTLS, and the only `unsafe` of this workspace.
//!
//! A connection carries its [`Offer`] and its [`Shown`] in its own ex_data; the callbacks look there and nowhere else, and no
//! panic leaves them.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_long, c_uchar, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use foreign_types::ForeignTypeRef;
use openssl::asn1::{Asn1GeneralizedTimeRef, Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::ssl::{Ssl, SslContextBuilder, SslRef, SslStream};
use openssl::stack::StackRef;
use openssl::x509::{X509, X509Ref};
use openssl_sys::{
    EVP_MD, SSL, SSL_CIPHER, SSL_CTX, SSL_CTX_ctrl, SSL_SESSION, SSL_SESSION_free, SSL_ctrl,
    SSL_get_ex_data_X509_STORE_CTX_idx, X509_STORE_CTX, X509_STORE_CTX_get_ex_data,
    X509_STORE_CTX_set_error, stack_st_X509,
};

use crate::psk::{PskKey, is_ticket};

type FindSession =
    unsafe extern "C" fn(*mut SSL, *const c_uchar, usize, *mut *mut SSL_SESSION) -> c_int;
type UseSession = unsafe extern "C" fn(
    *mut SSL,
    *const EVP_MD,
    *mut *const c_uchar,
    *mut usize,
    *mut *mut SSL_SESSION,
) -> c_int;

// SAFETY: the declarations are those of openssl/ssl.h, the same since OpenSSL 3.0.
unsafe extern "C" {
    fn SSL_CTX_set_psk_find_session_callback(context: *mut SSL_CTX, callback: Option<FindSession>);
    fn SSL_CTX_set_psk_use_session_callback(context: *mut SSL_CTX, callback: Option<UseSession>);
    fn SSL_SESSION_new() -> *mut SSL_SESSION;
    fn SSL_SESSION_set1_master_key(
        session: *mut SSL_SESSION,
        key: *const c_uchar,
        length: usize,
    ) -> c_int;
    fn SSL_SESSION_set_cipher(session: *mut SSL_SESSION, cipher: *const SSL_CIPHER) -> c_int;
    fn SSL_SESSION_set_protocol_version(session: *mut SSL_SESSION, version: c_int) -> c_int;
    fn SSL_CIPHER_find(ssl: *mut SSL, number: *const c_uchar) -> *const SSL_CIPHER;
    fn SSL_key_update(ssl: *mut SSL, kind: c_int) -> c_int;
    fn SSL_group_to_name(ssl: *mut SSL, id: c_int) -> *const c_char;
    fn SSL_CTX_set_cert_verify_callback(
        context: *mut SSL_CTX,
        callback: Option<unsafe extern "C" fn(*mut X509_STORE_CTX, *mut c_void) -> c_int>,
        argument: *mut c_void,
    );
    fn X509_STORE_CTX_get0_cert(store: *mut X509_STORE_CTX) -> *mut openssl_sys::X509;
    fn X509_STORE_CTX_get0_untrusted(store: *mut X509_STORE_CTX) -> *mut stack_st_X509;
    fn SSL_free_buffers(ssl: *mut SSL) -> c_int;
    fn DTLSv1_listen(ssl: *mut SSL, peer: *mut c_void) -> c_int;
    fn BIO_ADDR_new() -> *mut c_void;
    fn BIO_ADDR_free(address: *mut c_void);
}

const CTRL_SET_DH_AUTO: c_int = 118;
const CTRL_GET_NEGOTIATED_GROUP: c_int = 134;
const CTRL_GET_TIMEOUT: c_int = 73;
const CTRL_HANDLE_TIMEOUT: c_int = 74;
/// X509_V_ERR_CERT_REJECTED: the alert is ours to choose.
const REJECTED: c_int = 28;
const KEY_UPDATE_NOT_REQUESTED: c_int = 0;
const KEY_UPDATE_REQUESTED: c_int = 1;
const TLS_1_3: c_int = 0x0304;
/// TLS_AES_128_GCM_SHA256; only the hash of it binds a key.
const SUITE: [u8; 2] = [0x13, 0x01];

/// The key of one connection.
pub(crate) struct Offer {
    /// Whose key it is; `None` = nobody's, for every identity, so that none of them can be told from a wrong key.
    pub(crate) identity: Option<Vec<u8>>,
    /// The key.
    pub(crate) key: Arc<PskKey>,
}

impl Offer {
    fn key_for(&self, identity: &[u8]) -> Option<&PskKey> {
        let ours = match &self.identity {
            Some(known) => known == identity,
            None => !is_ticket(identity),
        };
        ours.then_some(&*self.key)
    }
}

/// Unix seconds of a time in an OCSP answer.
pub(crate) fn unix_time(time: &Asn1GeneralizedTimeRef) -> Option<i64> {
    // SAFETY: ASN1_GENERALIZEDTIME and ASN1_TIME are both names of ASN1_STRING, which tells its own kind; the borrow of
    // `time` outlives this one.
    let time: &Asn1TimeRef = unsafe { Asn1TimeRef::from_ptr(time.as_ptr().cast()) };
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    Some(i64::from(since.days) * 86_400 + i64::from(since.secs))
}

fn offer_index() -> Option<Index<Ssl, Offer>> {
    static INDEX: OnceLock<Option<Index<Ssl, Offer>>> = OnceLock::new();
    *INDEX.get_or_init(|| Ssl::new_ex_index().ok())
}

/// Gives a connection its key, before the handshake.
pub(crate) fn attach(ssl: &mut SslRef, offer: Offer) -> Result<(), ErrorStack> {
    let index = offer_index().ok_or_else(ErrorStack::get)?;
    ssl.set_ex_data(index, offer);
    Ok(())
}

/// The key a connection was given.
pub(crate) fn offer(ssl: &SslRef) -> Option<&Offer> {
    ssl.ex_data(offer_index()?)
}

/// Judges the certificates that the peer of one connection shows, leaf first, as DER.
pub(crate) trait Shown: Send + Sync {
    /// Whether the handshake may go on.
    fn shown(&self, chain: &[&[u8]]) -> bool;
}

fn shown_index() -> Option<Index<Ssl, Arc<dyn Shown>>> {
    static INDEX: OnceLock<Option<Index<Ssl, Arc<dyn Shown>>>> = OnceLock::new();
    *INDEX.get_or_init(|| Ssl::new_ex_index().ok())
}

/// Gives a connection its judge, before the handshake. Without one every certificate is refused.
pub(crate) fn judged_by(ssl: &mut SslRef, judge: Arc<dyn Shown>) -> Result<(), ErrorStack> {
    let index = shown_index().ok_or_else(ErrorStack::get)?;
    ssl.set_ex_data(index, judge);
    Ok(())
}

/// Certificates shown to connections of this context go to the judge of the connection, and to no store of the library.
pub(crate) fn ask_judges(context: &mut SslContextBuilder) {
    // SAFETY: the context is alive, and the callback is a function of the right type that lives for ever and has no argument.
    unsafe { SSL_CTX_set_cert_verify_callback(context.as_ptr(), Some(verify), ptr::null_mut()) }
}

unsafe extern "C" fn verify(store: *mut X509_STORE_CTX, _: *mut c_void) -> c_int {
    let judged = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the library hands a live store context, which has the connection in its ex_data and the leaf with the
        // other certificates of the peer, both borrowed for as long as this call.
        unsafe {
            let ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
            if ssl.is_null() {
                return false;
            }
            let judge = shown_index().and_then(|index| SslRef::from_ptr(ssl.cast()).ex_data(index));
            let leaf = X509_STORE_CTX_get0_cert(store);
            let Some(judge) = judge.filter(|_| !leaf.is_null()) else {
                return false;
            };
            let mut chain = vec![X509Ref::from_ptr(leaf).to_der()];
            let others = X509_STORE_CTX_get0_untrusted(store);
            if !others.is_null() {
                let others = StackRef::<X509>::from_ptr(others).iter();
                // The peer's list begins with the leaf.
                chain.extend(others.skip(1).map(X509Ref::to_der));
            }
            let Ok(chain) = chain.into_iter().collect::<Result<Vec<_>, _>>() else {
                return false;
            };
            let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
            judge.shown(&chain)
        }
    }));
    let good = judged.unwrap_or(false);
    if !good {
        // SAFETY: the context is alive.
        unsafe { X509_STORE_CTX_set_error(store, REJECTED) }
    }
    c_int::from(good)
}

/// Lets the library choose the group of finite-field key exchanges (DHE-PSK).
pub(crate) fn choose_dh_group(context: &mut SslContextBuilder) -> bool {
    // SAFETY: the context is alive; this control takes a number and no pointer.
    unsafe { SSL_CTX_ctrl(context.as_ptr(), CTRL_SET_DH_AUTO, 1, ptr::null_mut()) == 1 }
}

/// Begins a handshake of DTLS with the ClientHello that is the connection's input, whose cookie was judged before. The
/// library counts messages and records from there.
pub(crate) fn listen<S>(stream: &mut SslStream<S>) -> bool {
    // SAFETY: the connection is alive and borrowed by nobody else; the address is ours, is written by the library, and is
    // freed on every way.
    unsafe {
        let address = BIO_ADDR_new();
        if address.is_null() {
            return false;
        }
        let taken = DTLSv1_listen(stream.ssl().as_ptr(), address) == 1;
        BIO_ADDR_free(address);
        if !taken {
            drop(ErrorStack::get()); // nobody may take these errors for those of the next call
        }
        taken
    }
}

/// Has the library give its buffers of records back, which it does by itself over TLS alone; it takes new ones when it needs
/// them. Where something is still in them they stay.
pub(crate) fn free_buffers<S>(stream: &mut SslStream<S>) {
    // SAFETY: the connection is alive and borrowed by nobody else.
    _ = unsafe { SSL_free_buffers(stream.ssl().as_ptr()) };
}

/// When a handshake of DTLS wants to repeat its flight, from now; `None` = it waits for nothing.
pub(crate) fn timeout(ssl: &SslRef) -> Option<Duration> {
    let mut left = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    // SAFETY: the connection is alive; this control writes a timeval.
    let waits = unsafe { SSL_ctrl(ssl.as_ptr(), CTRL_GET_TIMEOUT, 0, (&raw mut left).cast()) == 1 };
    let seconds = u64::try_from(left.tv_sec).unwrap_or(0);
    let micros = u64::try_from(left.tv_usec).unwrap_or(0);
    waits.then(|| Duration::from_secs(seconds) + Duration::from_micros(micros))
}

/// Repeats the flight, if its time has come; false when it was repeated too often.
pub(crate) fn handle_timeout<S>(stream: &mut SslStream<S>) -> bool {
    // SAFETY: the connection is alive and borrowed by nobody else; this control takes no pointer.
    let done = unsafe {
        SSL_ctrl(
            stream.ssl().as_ptr(),
            CTRL_HANDLE_TIMEOUT,
            0,
            ptr::null_mut(),
        )
    };
    if done < 0 {
        drop(ErrorStack::get());
    }
    done >= 0
}

/// Servers of this context look for keys in the offers.
pub(crate) fn serve_keys(context: &mut SslContextBuilder) {
    // SAFETY: the context is alive, and the callback is a function of the right type that lives for ever.
    unsafe { SSL_CTX_set_psk_find_session_callback(context.as_ptr(), Some(find)) }
}

/// Clients of this context offer the keys they were given.
pub(crate) fn use_keys(context: &mut SslContextBuilder) {
    // SAFETY: as above.
    unsafe { SSL_CTX_set_psk_use_session_callback(context.as_ptr(), Some(propose)) }
}

/// Prepares a KeyUpdate, which the next write or handshake call sends.
pub(crate) fn key_update<S>(stream: &mut SslStream<S>, ask_peer: bool) -> bool {
    let kind = match ask_peer {
        true => KEY_UPDATE_REQUESTED,
        false => KEY_UPDATE_NOT_REQUESTED,
    };
    // SAFETY: the connection is alive and borrowed by nobody else.
    let prepared = unsafe { SSL_key_update(stream.ssl().as_ptr(), kind) == 1 };
    if !prepared {
        drop(ErrorStack::get()); // nobody may take these errors for those of the next call
    }
    prepared
}

/// The group of the key exchange as OpenSSL calls it.
pub(crate) fn group_name(ssl: &SslRef) -> Option<&str> {
    // SAFETY: the connection is alive; this control only reads, and takes no pointer.
    let id: c_long =
        unsafe { SSL_ctrl(ssl.as_ptr(), CTRL_GET_NEGOTIATED_GROUP, 0, ptr::null_mut()) };
    let id = c_int::try_from(id).ok()?;
    // SAFETY: the connection is alive; an id that is unknown gives NULL.
    let name = unsafe { SSL_group_to_name(ssl.as_ptr(), id) };
    if name.is_null() {
        return None;
    }
    // SAFETY: not NULL, so it is a string of the library's tables, which outlive the connection.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

/// Looks an identity up (server). A NULL session says "unknown"; only that lets the next identity have its turn.
unsafe extern "C" fn find(
    ssl: *mut SSL,
    identity: *const c_uchar,
    length: usize,
    session: *mut *mut SSL_SESSION,
) -> c_int {
    let looked_up = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the library hands a live connection, `length` readable octets (or none) and a place for the answer.
        unsafe {
            *session = ptr::null_mut();
            let identity = match identity.is_null() || length == 0 {
                true => &[],
                false => std::slice::from_raw_parts(identity, length),
            };
            let key = offer(SslRef::from_ptr(ssl)).and_then(|offer| offer.key_for(identity));
            let Some(key) = key else { return 1 };
            match session_with(ssl, key) {
                Some(made) => {
                    *session = made;
                    1
                }
                None => 0,
            }
        }
    }));
    looked_up.unwrap_or(0)
}

/// Proposes the key of the connection (client). A NULL session says "none", such as for a suite with another hash.
unsafe extern "C" fn propose(
    ssl: *mut SSL,
    hash: *const EVP_MD,
    identity: *mut *const c_uchar,
    length: *mut usize,
    session: *mut *mut SSL_SESSION,
) -> c_int {
    let proposed = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the library hands a live connection, a digest or NULL, and places for the answers. The identity lies
        // in the connection's own ex_data, where it stays unchanged until the connection is freed.
        unsafe {
            *session = ptr::null_mut();
            if !hash.is_null() && MessageDigest::from_ptr(hash).type_() != Nid::SHA256 {
                return 1;
            }
            let Some(offer) = offer(SslRef::from_ptr(ssl)) else {
                return 1;
            };
            let Some(known) = &offer.identity else {
                return 1;
            };
            match session_with(ssl, &offer.key) {
                Some(made) => {
                    *session = made;
                    *identity = known.as_ptr();
                    *length = known.len();
                    1
                }
                None => 0,
            }
        }
    }));
    proposed.unwrap_or(0)
}

/// A session that holds nothing but an external key; the caller hands it to the library, which frees it.
///
/// # Safety
///
/// `ssl` is a live connection.
unsafe fn session_with(ssl: *mut SSL, key: &PskKey) -> Option<*mut SSL_SESSION> {
    let key = key.octets();
    // SAFETY: a new session belongs to us until it is returned, and is freed on every other way out; the library
    // copies the key; a suite is an entry of the library's own table.
    unsafe {
        let session = SSL_SESSION_new();
        if session.is_null() {
            return None;
        }
        let cipher = SSL_CIPHER_find(ssl, SUITE.as_ptr());
        let complete = !cipher.is_null()
            && SSL_SESSION_set1_master_key(session, key.as_ptr(), key.len()) == 1
            && SSL_SESSION_set_cipher(session, cipher) == 1
            && SSL_SESSION_set_protocol_version(session, TLS_1_3) == 1;
        if !complete {
            SSL_SESSION_free(session);
            return None;
        }
        Some(session)
    }
}
