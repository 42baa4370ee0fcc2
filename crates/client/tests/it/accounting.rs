//! Accounting records.

use doorward_client::{
    AccountingRecord, AccountingRequest, AccountingStatus, ArgumentList, AttemptError, ClientError,
    Decision, Denial, Separator, task_id,
};
use doorward_tacacs::client::Failure;
use doorward_tacacs::{AccountingFlags, Flags};

use crate::fake::Fake;
use crate::{alice, client, plain};

fn record(record: AccountingRecord, task: &str) -> AccountingRequest {
    let mut arguments = ArgumentList::new();
    for (name, value) in [
        ("service", "shell"),
        ("start_time", "1700000000"),
        ("cmd", "show"),
        ("timezone", "UTC"),
    ] {
        arguments.push(name, Separator::Mandatory, value).unwrap();
    }
    AccountingRequest::new(alice(), record, task, arguments)
}

/// proves: TAC-8.3-1, TAC-8.3-2, TAC-7.2-6, D05-7.2-2
#[tokio::test]
async fn start_and_stop_share_their_task_and_order_their_arguments() {
    let fake = Fake::plain(|request| request.accounted(AccountingStatus::SUCCESS).into()).await;
    let client = client([plain(&fake)]);
    for kind in [AccountingRecord::Start, AccountingRecord::Stop] {
        let answer = client.account(&record(kind, "42")).await.unwrap();
        assert_eq!(
            (answer.decision, answer.status),
            (Decision::Pass, Some(AccountingStatus::SUCCESS))
        );
    }
    let requests = fake.requests();
    let flags: Vec<AccountingFlags> = requests
        .iter()
        .map(|request| request.accounting().flags)
        .collect();
    assert_eq!(flags, [AccountingFlags::START, AccountingFlags::STOP]);
    for request in requests {
        assert_eq!(
            request.arguments(),
            [
                "task_id=42",
                "start_time=1700000000",
                "timezone=UTC",
                "service=shell",
                "cmd=show"
            ]
        );
    }
}

/// proves: TAC-7.2-11
#[tokio::test]
async fn every_kind_of_record_has_its_flags() {
    let fake = Fake::plain(|request| request.accounted(AccountingStatus::SUCCESS).into()).await;
    let client = client([plain(&fake)]);
    let kinds = [
        AccountingRecord::Start,
        AccountingRecord::Watchdog,
        AccountingRecord::Update,
        AccountingRecord::Stop,
    ];
    for kind in kinds {
        assert!(
            client
                .account(&record(kind, "42"))
                .await
                .unwrap()
                .decision
                .is_pass()
        );
    }
    let flags: Vec<u8> = fake
        .requests()
        .iter()
        .map(|request| request.accounting().flags.0)
        .collect();
    assert_eq!(flags, [0x02, 0x08, 0x0a, 0x04]);
}

/// proves: TAC-8.3-4, TAC-8.3-3, D05-7.2-2
#[tokio::test]
async fn a_task_is_not_started_twice() {
    let fake = Fake::plain(|request| request.accounted(AccountingStatus::SUCCESS).into()).await;
    let client = client([plain(&fake)]);
    let start = record(AccountingRecord::Start, "42");
    assert!(client.account(&start).await.unwrap().decision.is_pass());
    assert!(matches!(
        client.account(&start).await,
        Err(ClientError::TaskIsOpen)
    ));
    assert!(
        client
            .account(&record(AccountingRecord::Start, "43"))
            .await
            .unwrap()
            .decision
            .is_pass()
    );
    assert!(
        client
            .account(&record(AccountingRecord::Watchdog, "42"))
            .await
            .unwrap()
            .decision
            .is_pass()
    );
    assert!(matches!(
        client.account(&start).await,
        Err(ClientError::TaskIsOpen)
    ));
    assert!(
        client
            .account(&record(AccountingRecord::Stop, "42"))
            .await
            .unwrap()
            .decision
            .is_pass()
    );
    assert!(client.account(&start).await.unwrap().decision.is_pass());
    assert_eq!(fake.requests().len(), 5);
}

#[tokio::test]
async fn a_start_that_was_not_recorded_may_be_sent_again() {
    let fake = Fake::plain(|request| {
        let status = if request.connection == 0 {
            AccountingStatus::ERROR
        } else {
            AccountingStatus::SUCCESS
        };
        request.accounted(status).then_close().into()
    })
    .await;
    let client = client([plain(&fake)]);
    let start = record(AccountingRecord::Start, "42");
    assert!(matches!(
        client.account(&start).await,
        Err(ClientError::Unavailable(_))
    ));
    assert!(client.account(&start).await.unwrap().decision.is_pass());
}

/// proves: TAC-8.3-11, TAC-8.3-12
#[tokio::test]
async fn commands_are_recorded_one_by_one() {
    let fake = Fake::plain(|request| request.accounted(AccountingStatus::SUCCESS).into()).await;
    let client = client([plain(&fake)]);
    for words in [&["show", "ip", "route"] as &[&str], &["reload"]] {
        assert!(
            client
                .account_command(&alice(), words)
                .await
                .unwrap()
                .decision
                .is_pass()
        );
    }
    let requests = fake.requests();
    assert_eq!(requests.len(), 2);
    assert!(
        requests
            .iter()
            .all(|request| request.accounting().flags == AccountingFlags::START)
    );
    let (first, second) = (requests[0].arguments(), requests[1].arguments());
    assert_eq!(
        first[1..],
        ["service=shell", "cmd=show", "cmd-arg=ip", "cmd-arg=route"]
    );
    assert_eq!(second[1..], ["service=shell", "cmd=reload"]);
    assert!(first[0].starts_with("task_id=") && first[0] != second[0]);
}

/// proves: TAC-7.2-5, TAC-10.5.5-4
#[tokio::test]
async fn follow_means_not_recorded() {
    let first = Fake::plain(|request| request.reply(vec![0, 0, 0, 0, 0x21]).into()).await;
    let second = Fake::plain(|request| request.accounted(AccountingStatus::SUCCESS).into()).await;
    let answer = client([plain(&first), plain(&second)])
        .account(&record(AccountingRecord::Stop, "42"))
        .await
        .unwrap();
    assert_eq!(answer.decision, Decision::Fail(Denial::Status));
    assert_eq!((first.connections(), second.connections()), (1, 0));
}

/// Accounting has no FAIL, so a wrong flag is an error here.
#[tokio::test]
async fn a_reply_in_clear_is_an_error() {
    let mut fake = Fake::plain(|request| {
        request
            .accounted(AccountingStatus::SUCCESS)
            .flags(Flags::UNENCRYPTED)
            .into()
    })
    .await;
    let result = client([plain(&fake)])
        .account(&record(AccountingRecord::Stop, "42"))
        .await;
    let Err(ClientError::Unavailable(attempts)) = result else {
        panic!("{result:?}")
    };
    assert!(
        matches!(
            attempts[0].reason,
            AttemptError::Reply(Failure::FlagMismatch(_))
        ),
        "{attempts:?}"
    );
    fake.ended().await;
}

#[test]
fn task_ids_differ() {
    let ids: std::collections::HashSet<String> = (0..64).map(|_| task_id().unwrap()).collect();
    assert_eq!(ids.len(), 64);
}
