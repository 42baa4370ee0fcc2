//! Access-Challenge: a question, and the answer to it as another Access-Request (RFC 2865 section 4.4).

use std::io::{self, IsTerminal as _};

use doorward_client::for_display;
use doorward_client::radius::{Answer, Code, Proof, Request};
use doorward_radius::attribute::kind;
use doorward_radius::dictionary::Dictionary;

use super::{AccessArgs, problem};
use crate::cli::asking::{Problem, secret};
use crate::cli::client::prompt;
use crate::secret::Octets;

/// A server that asks more than this asks for ever.
const MOST: usize = 16;

/// The value of Prompt that lets an answer be seen (RFC 2869 section 5.10).
const ECHO: u32 = 1;

/// What answers the questions of a server.
pub(super) struct Rounds<'a> {
    args: &'a AccessArgs,
    dictionary: &'a Dictionary,
    /// Of the command line; `None` = whoever sits at the terminal.
    replies: Option<std::vec::IntoIter<Octets>>,
    asked: usize,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(args: &'a AccessArgs, dictionary: &'a Dictionary) -> Result<Self, Problem> {
        let replies = args.replies.iter();
        let replies = replies.map(|reference| secret::read("--reply", reference));
        let replies = replies.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            args,
            dictionary,
            replies: (!replies.is_empty()).then(|| replies.into_iter()),
            asked: 0,
        })
    }

    /// What to ask next; nothing where this is no challenge, or nobody answers it.
    pub(super) fn next(&mut self, answer: &Answer) -> Result<Option<Request>, Problem> {
        if answer.code() != Code::ACCESS_CHALLENGE || self.asked == MOST {
            return Ok(None);
        }
        self.asked += 1;
        let Some(reply) = self.reply(answer)? else {
            return Ok(None);
        };
        let request = Request::access(&self.args.user, Proof::Pap(&reply)).map_err(problem)?;
        let mut request = self.args.attributes.add_to(request, self.dictionary)?;
        if let Some(state) = answer.attributes().first(kind::STATE) {
            request.push(None, &[kind::STATE], state);
        }
        Ok(Some(request))
    }

    fn reply(&mut self, answer: &Answer) -> Result<Option<Octets>, Problem> {
        if let Some(replies) = &mut self.replies {
            return Ok(replies.next());
        }
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let mut question = for_display(&answer.reply_message());
        if question.is_empty() {
            "Answer: ".clone_into(&mut question);
        }
        if answer.attributes().integer(kind::PROMPT) == Some(ECHO) {
            prompt::visible(&question).map(Some)
        } else {
            prompt::hidden(&question).map(Some)
        }
    }
}
