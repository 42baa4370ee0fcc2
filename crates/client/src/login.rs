//! Logins: one way or several, until a server decides.

use doorward_tacacs::{AuthenticationStatus, authentication};

use crate::client::{Client, Course, decision};
use crate::connection::{Decided, Packet, Work};
use crate::error::ClientError;
use crate::opening::Opening;
use crate::outcome::{Authentication, Decision, Denial, Facts};
use crate::request::{Answers, Login, Who};

impl Client {
    /// Logs a user in, raises the level of one, or changes a password.
    pub async fn authenticate(
        &self,
        who: &Who,
        login: Login<'_>,
    ) -> Result<Authentication, ClientError> {
        self.attempt(&mut Course::new(), who, login).await
    }

    /// [`Client::authenticate`] by the first of several ways that the server accepts: one that it answers with RESTART (section
    /// 5.4.3) makes way for the next, in a session of its own. Each is tried once, and RESTART to the last is a FAIL. The
    /// next way is for the server that wanted it: those before it, which did not decide, are not asked again.
    ///
    /// ```no_run
    /// # async fn example(client: &doorward_client::Client) -> Result<(), doorward_client::ClientError> {
    /// use doorward_client::{ChallengeMethod, Login, Who};
    ///
    /// let chap = Login::Challenge { method: ChallengeMethod::Chap, secret: b"correct horse" };
    /// let pap = Login::Pap { password: b"correct horse" };
    /// let answer = client.authenticate_by_any(&Who::new("alice"), chap, [pap]).await?;
    /// println!("{}", answer.decision.is_pass());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn authenticate_by_any(
        &self,
        who: &Who,
        first: Login<'_>,
        others: impl IntoIterator<Item = Login<'_>>,
    ) -> Result<Authentication, ClientError> {
        let mut course = Course::new();
        let mut answer = self.attempt(&mut course, who, first).await?;
        for login in others {
            if answer.status != Some(AuthenticationStatus::RESTART) {
                break;
            }
            tracing::debug!(server = %answer.facts.server, ?login, "the server wants another authentication type");
            answer = self.attempt(&mut course, who, login).await?;
        }
        Ok(answer)
    }

    async fn attempt(
        &self,
        course: &mut Course,
        who: &Who,
        login: Login<'_>,
    ) -> Result<Authentication, ClientError> {
        let opening = Opening::of(who, login)?;
        // Shortens the life of the trait object, which Option would not do.
        let answers = opening
            .answers
            .map(|answers| -> &mut dyn Answers { answers });
        let rem_addr = who.rem_addr_text();
        let start = authentication::Start {
            action: opening.action,
            priv_lvl: who.priv_lvl,
            authen_type: opening.authen_type,
            authen_service: opening.authen_service,
            user: who.user.as_bytes(),
            port: who.port.as_bytes(),
            rem_addr: rem_addr.as_bytes(),
            data: &opening.data,
        };
        let packet = if opening.asks_for_password {
            Packet::PapDialogue(start)
        } else {
            Packet::Start(start)
        };
        let (decided, facts) = self.ask(course, &mut Work { packet, answers }).await?;
        Ok(answer(decided, facts))
    }
}

fn answer(decided: Decided, facts: Facts) -> Authentication {
    match decided {
        Decided::Authentication {
            status,
            server_msg,
            data,
        } => Authentication {
            decision: decision(status.verdict()),
            status: Some(status),
            server_msg,
            data,
            facts,
        },
        // The machine hands out no reply of another kind.
        Decided::FlagMismatch | Decided::Authorization { .. } | Decided::Accounting { .. } => {
            Authentication {
                decision: Decision::Fail(Denial::Flag),
                status: None,
                server_msg: Vec::new(),
                data: Vec::new(),
                facts,
            }
        }
    }
}
