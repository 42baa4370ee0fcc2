use doorward_tls::{Admission, AdmissionRefusal, PeerIdentity, ReferenceIdentity, ServerChannel};
use tokio::net::TcpListener;

use super::*;

#[path = "../../tests/it/certificates.rs"]
#[expect(dead_code, reason = "made for other tests too")]
mod certificates;

use certificates::Authority;

const NAME: &str = "aaa1.example.net";
const PATIENCE: Duration = Duration::from_secs(10);

struct Anybody;

impl Admission for Anybody {
    fn admit(&self, _: &PeerIdentity, _: SocketAddr) -> Result<Arc<str>, AdmissionRefusal> {
        Ok("anybody".into())
    }
}

/// Goes through the handshake and says something, or ends it after the hello with these octets.
async fn serve(socket: &TcpListener, mut channel: ServerChannel, refusal: Option<&[u8]>) {
    let (mut stream, _) = socket.accept().await.unwrap();
    let mut chunk = [0; CHUNK];
    let mut said = false;
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        if let Some(refusal) = refusal {
            stream.write_all(refusal).await.unwrap();
            return;
        }
        channel.feed(&chunk[..count]);
        if !said && matches!(channel.handshake(), Handshake::Done(_)) {
            channel.write_plain(b"hello").unwrap();
            said = true;
        }
        let mut out = Vec::new();
        channel.drain(&mut out);
        stream.write_all(&out).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_resumption_is_told_once() {
    let authority = Authority::new("CA");
    let policy = Arc::new(authority.server_policy(&authority.server(&[NAME])));
    let device = authority.device();
    let tls = Tls::new(
        authority.client_policy(Some(&device)),
        ReferenceIdentity::parse(NAME).unwrap(),
    );
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let local = socket.local_addr().unwrap();
    let address = ServerAddress::from_ip(local.ip(), local.port());
    let meet = async |refusal| {
        let channel = ServerChannel::new(Arc::clone(&policy), Arc::new(Anybody), local);
        let client = async {
            let mut stream = TlsStream::connect(&address, &tls, PATIENCE).await?;
            let mut said = Vec::new();
            let read = stream.read(&mut said).await;
            assert_eq!((read.unwrap(), &said[..]), (Read::Data, &b"hello"[..]));
            Ok::<_, Unconnected>(())
        };
        let (connected, ()) = tokio::join!(client, serve(&socket, channel, refusal));
        connected.err().map(|why| why.resuming)
    };
    for refusal in [&[][..], &[21, 3, 3, 0, 2, 2, 40]] {
        assert_eq!(meet(None).await, None);
        assert_eq!(meet(Some(refusal)).await, Some(true));
        assert_eq!(meet(Some(refusal)).await, Some(false), "no ticket is left");
    }
}
