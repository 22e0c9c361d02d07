//! A backup brings everything back, and conversations go on.

use crate::conversation::alice_and_bob;
use crate::people::Person;

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_goes_on_with_the_conversation() {
    let (alice, alice_up, bob, _bob_up) = alice_and_bob().await;
    alice.ok(&["send", "Bob", "before the backup"]).await;
    let file = alice.file("backup");
    let path = file.to_str().unwrap();
    let made = alice.json(&["export", path]).await;
    assert_eq!(made["letters"], 1);
    alice.fails(1, &["export", path]).await;
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(10).any(|window| window == b"the backup"));
    alice.ok(&["send", "Bob", "after the backup"]).await;
    assert_eq!(alice_up.terminate().await, 0);

    let restored = Person::nobody("Alice");
    let mut wrong = restored.command(&["import", path]);
    wrong.env("WAYPOST_BACKUP_PASSPHRASE", "not this");
    assert_eq!(crate::people::ended(wrong).await.code, 5);
    restored.ok(&["import", path]).await;
    assert_eq!(restored.id().await, alice.id().await);
    let history = restored.json(&["history", "Bob"]).await;
    assert_eq!(history["entries"][0]["body"]["text"], "before the backup");

    let listen = alice.listen.to_string();
    let _restored_up = restored.up_with(&["--listen", &listen]).await;
    let sent = restored.json(&["send", "Bob", "from the backup", "--wait", "60"]).await;
    assert_eq!(sent["state"], "delivered");
    bob.ok(&["send", "Alice", "welcome back", "--wait", "60"]).await;
    assert_eq!(restored.json(&["inbox"]).await["entries"][0]["body"]["text"], "welcome back");
    alice.fails(1, &["import", path]).await;
}
