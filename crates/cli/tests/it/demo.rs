//! The demo: what it shows must hold.

use crate::people::Person;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_loses_nothing_when_nodes_and_a_relay_are_killed_and_ways_are_blocked() {
    let nobody = Person::nobody("Nobody");
    let report = nobody.json(&["demo", "--letters", "120"]).await;
    assert_eq!(report["passed"], true, "{report}");
    assert_eq!((&report["sent"], &report["delivered_once"], &report["kills"]), (&120.into(), &120.into(), &2.into()));
    let (away, detour) = (&report["away"], &report["detour"]);
    assert_eq!((&away["sent"], &away["delivered_once"], &away["relay_kills"]), (&500.into(), &500.into(), &1.into()));
    assert_eq!((&detour["delivered_once"], &detour["by_relay"]), (&detour["sent"], &20.into()));
    assert!(detour["slowest_ms"].as_f64().unwrap() <= 2000.0, "{report}");
    assert_eq!(report["plaintext_found"], false);
    assert_eq!(report["protection"]["post_quantum"], true);
    assert_eq!(report["folder"], Value::Null);
}
