//! Nonsense of every kind on every route of a running system: typed errors, bounded memory, and
//! nothing lost of the good events beside it.

use penstock_tests::System;
use std::io::Write;
use std::net::SocketAddr;

const ROUTES: [&str; 5] = ["/v1/events", "/v1/impression", "/v1/visit", "/v1/click", "/v1/conversion"];
const GOOD: &str = r#"{"type":"click","payload":{"campaign_id":7}}"#;

/// What is sent: a name, headers, the body.
type Case = (&'static str, Vec<(&'static str, &'static str)>, Vec<u8>);

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes).expect("memory takes everything");
    out.finish().expect("memory takes everything")
}

fn cases() -> Vec<Case> {
    let json = ("content-type", "application/json");
    let lines = ("content-type", "application/x-ndjson");
    let gzip = ("content-encoding", "gzip");
    let mut cut = packed(GOOD.repeat(1_000).as_bytes());
    cut.truncate(cut.len() / 2);
    vec![
        ("truncated gzip", vec![json, gzip], cut),
        ("not gzip", vec![json, gzip], b"hello".to_vec()),
        ("zip bomb", vec![json, gzip], packed(&vec![b' '; 300 << 20])),
        ("a line of 10 MB", vec![lines], vec![b'x'; 10 << 20]),
        ("a body of 40 MB", vec![lines], vec![b'\n'; 40 << 20]),
        ("invalid UTF-8", vec![json], b"{\"type\":\"click\",\"payload\":{\"tag\":\"\xff\xfe\"}}".to_vec()),
        ("deep nesting", vec![json], "[".repeat(100_000).into_bytes()),
        ("deep objects", vec![json], "{\"payload\":".repeat(100_000).into_bytes()),
        ("NaN", vec![json], br#"{"type":"click","payload":{"campaign_id":7,"price_micros":NaN}}"#.to_vec()),
        ("negative price", vec![json], br#"{"type":"click","payload":{"campaign_id":7,"price_micros":-1}}"#.to_vec()),
        ("unknown type", vec![json], br#"{"type":"nope","payload":{"campaign_id":7}}"#.to_vec()),
        (
            "duplicate keys",
            vec![json],
            br#"{"type":"click","type":"visit","payload":{"campaign_id":7,"tag":"a","tag":"b"}}"#.to_vec(),
        ),
        ("empty", vec![json], Vec::new()),
        ("wrong host", vec![json, ("host", "evil.example")], GOOD.as_bytes().to_vec()),
        ("wrong origin", vec![json, ("origin", "https://evil.example")], GOOD.as_bytes().to_vec()),
        ("unknown content type", vec![("content-type", "text/html")], GOOD.as_bytes().to_vec()),
        ("unknown encoding", vec![json, ("content-encoding", "br")], GOOD.as_bytes().to_vec()),
        ("unknown durability", vec![json, ("penstock-durability", "holy")], GOOD.as_bytes().to_vec()),
    ]
}

/// Resident memory of a process in MiB, as the kernel counts it.
fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("the kernel tells VmRSS");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("a number of kB") / 1_024
}

async fn post(http: &reqwest::Client, sidecar: SocketAddr, route: &str, case: &Case) {
    let (name, headers, body) = case;
    let mut request = http.post(format!("http://{sidecar}{route}")).body(body.clone());
    for (key, value) in headers {
        request = request.header(*key, *value);
    }
    // A server may close while a refused body is still being sent: no answer is no acknowledgement.
    let Ok(answer) = request.send().await else { return };
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap_or_default();
    assert!((400..500).contains(&status), "{name} on {route}: {status} {text}");
    assert!(text.contains("\"code\":"), "{name} on {route}: {status} without a code: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_on_every_route_costs_itself_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut system = System::prepare(folder.path(), "");
    system.start();
    system.ready().await;
    let catalogue = folder.path().join("catalogue.json");
    std::fs::write(
        &catalogue,
        r#"{"advertisers":[{"id":1,"name":"a","currency":"USD"}],"campaigns":[{"id":7,"name":"c","advertiser_id":1,"cpc_micros":1}],"tags":{}}"#,
    )
    .expect("the folder is writable");
    let _ = system.expect(&["catalogue", "import", &catalogue.display().to_string()], 0);

    let http = reqwest::Client::new();
    let cases = cases();
    let pid = system.pid().expect("it runs");
    let mut good = 0u64;
    let mut after_first = 0;
    for round in 0..6 {
        for route in ROUTES {
            for case in &cases {
                post(&http, system.sidecar, route, case).await;
                // A good event between two bad requests, and one between two bad lines.
                let body = format!("{{\"type\":\n{GOOD}\n{{\"type\":\"click\"}}\n\u{1}\n");
                let answer = http
                    .post(format!("http://{}/v1/events", system.sidecar))
                    .header("content-type", "application/x-ndjson")
                    .body(body)
                    .send()
                    .await
                    .expect("an answer");
                assert_eq!(answer.status().as_u16(), 202);
                assert!(answer.text().await.expect("a body").starts_with("{\"accepted\":1,"));
                good += 1;
            }
        }
        let now = resident_mib(pid);
        if round == 0 {
            after_first = now;
        }
        eprintln!("round {round}: {now} MiB resident");
    }
    // The first round has filled the workers' buffers; five more rounds of the same, 1.7 GB of
    // bombs and half as much of bodies among them, must not pile up.
    let now = resident_mib(pid);
    assert!(now <= after_first + 96, "resident memory grew from {after_first} to {now} MiB");

    let _ = system.expect(&["reconcile", "--wait", "60s"], 0);
    let counted = http
        .get(format!("http://{}/?query=SELECT+count()+FROM+penstock.events", system.engine))
        .send()
        .await
        .expect("the engine answers")
        .text()
        .await
        .expect("a body");
    assert_eq!(counted.trim(), good.to_string());
    assert_eq!(system.stop().await, Some(0), "{}", system.log());
}
