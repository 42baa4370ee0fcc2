//! Logins of several rounds with several servers: only the one that asked knows what it asked.

use doorward_client::radius::{AttemptError, Client, Code, Error};
use doorward_radius::attribute::{Attributes, kind};

use crate::radius::{Home, pap};

/// The first server handles no such request, and would be asked first again. It hears nothing of the answer, which goes to
/// the second, and to nobody once that one is gone.
#[tokio::test]
async fn an_answer_goes_to_the_server_that_asked() {
    let (first, second) = (Home::new().await, Home::new().await);
    let client = Client::new(vec![first.server(), second.server()]).unwrap();
    let state = [0x5a; 16];
    let ask = async {
        let question = client.ask(pap()).await.unwrap();
        assert_eq!(question.code(), Code::ACCESS_CHALLENGE);
        let with_state = || pap().with(kind::STATE, &state);
        let accept = client.ask_on(&question, with_state()).await.unwrap();
        assert!(accept.is_accept());
        assert_eq!(accept.facts.server, second.server().address.to_string());
        (client.ask_on(&question, with_state()).await, question)
    };
    let serve = async {
        let mut other = first.accept().await;
        let request = other.packet().await.unwrap();
        other.answer(&request, Code::PROTOCOL_ERROR).await;
        let mut peer = second.accept().await;
        let request = peer.packet().await.unwrap();
        peer.answer(&request, Code::ACCESS_CHALLENGE).await;
        let request = peer.packet().await.unwrap();
        let attributes = Attributes::new(request.attributes()).unwrap();
        assert_eq!(attributes.first(kind::STATE), Some(&state[..]));
        peer.answer(&request, Code::ACCESS_ACCEPT).await;
        assert!(peer.packet().await.is_some());
        drop(peer);
        // What was not answered comes once more.
        let mut again = second.accept().await;
        assert!(again.packet().await.is_some());
        other
    };
    let ((gone, question), mut other) = tokio::join!(ask, serve);
    let error = gone.unwrap_err();
    assert_eq!(question.facts.server, second.server().address.to_string());
    let said = error.to_string();
    assert!(said.contains(&question.facts.server), "{said}");
    assert!(said.contains("has to begin anew"), "{said}");
    let Error::AskerGone(attempt) = error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(attempt.reason, AttemptError::Lost(_)),
        "{attempt:?}"
    );
    client.close().await;
    assert!(other.packet().await.is_none(), "the first one heard of it");
}
