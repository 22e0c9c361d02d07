//! JSON-RPC 2.0 without a transport: a text in, a text out.

mod fault;
mod request;

pub use fault::{Fault, FaultData};
use futures::future::join_all;
pub(crate) use request::Request;
use request::{Incoming, Rejected};
use serde_json::{Value, json};

/// Answers one text of a client. `handle` does the work of one request; requests of a batch are begun
/// in their order. Gives nothing if no answer is wanted.
pub(crate) async fn answer<F>(text: &[u8], handle: impl Fn(Request) -> F) -> Option<String>
where
    F: Future<Output = Result<Value, Fault>>,
{
    match Incoming::parse(text) {
        Incoming::Single(request) => answer_one(request, &handle).await.map(|answer| answer.to_string()),
        Incoming::Batch(requests) => {
            let answers = join_all(requests.into_iter().map(|request| answer_one(request, &handle))).await;
            let answers: Vec<Value> = answers.into_iter().flatten().collect();
            (!answers.is_empty()).then(|| Value::Array(answers).to_string())
        }
    }
}

/// The answer to something that could not even be read.
pub(crate) fn refusal(fault: Fault) -> String {
    response(&Value::Null, Err(fault)).to_string()
}

/// A message that nobody asked for by id.
pub(crate) fn notification(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}

async fn answer_one<F>(request: Result<Request, Rejected>, handle: &impl Fn(Request) -> F) -> Option<Value>
where
    F: Future<Output = Result<Value, Fault>>,
{
    let (id, result) = match request {
        Ok(mut request) => {
            let id = request.id.take();
            let result = match check_form(&mut request) {
                Ok(()) => handle(request).await,
                Err(fault) => Err(fault),
            };
            (id, result)
        }
        Err(rejected) => (Some(rejected.id), Err(rejected.fault)),
    };
    id.map(|id| response(&id, result))
}

/// Parameters are given by name; an empty list is as good as none.
fn check_form(request: &mut Request) -> Result<(), Fault> {
    match &request.params {
        Value::Array(items) if items.is_empty() => request.params = Value::Null,
        Value::Array(_) => return Err(Fault::bad_params("parameters are given by name, in an object".into())),
        _ => {}
    }
    Ok(())
}

fn response(id: &Value, result: Result<Value, Fault>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(fault) => json!({ "jsonrpc": "2.0", "id": id, "error": fault }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waypost_node::Error;

    /// Gives back what it is asked to `echo`.
    async fn ask(text: &str) -> Option<Value> {
        let answer = answer(text.as_bytes(), |request| async move {
            match request.method.as_str() {
                "echo" => Ok(request.params),
                "fail" => Err(Error::Locked("no".into()).into()),
                name => Err(Error::NotFound { what: "method", name: name.into() }.into()),
            }
        })
        .await;
        answer.map(|text| serde_json::from_str(&text).unwrap())
    }

    async fn code(text: &str) -> i64 {
        ask(text).await.unwrap()["error"]["code"].as_i64().unwrap()
    }

    #[tokio::test]
    async fn answers_a_request_with_its_id() {
        let answer = ask(r#"{"jsonrpc":"2.0","id":"a","method":"echo","params":{"x":1}}"#).await.unwrap();
        assert_eq!(answer, json!({"jsonrpc":"2.0","id":"a","result":{"x":1}}));
        let answer = ask(r#"{"jsonrpc":"2.0","id":null,"method":"echo","params":[]}"#).await.unwrap();
        assert_eq!(answer, json!({"jsonrpc":"2.0","id":null,"result":null}));
    }

    #[tokio::test]
    async fn says_nothing_to_notifications_even_when_they_fail() {
        assert_eq!(ask(r#"{"jsonrpc":"2.0","method":"echo"}"#).await, None);
        assert_eq!(ask(r#"{"jsonrpc":"2.0","method":"nobody"}"#).await, None);
        assert_eq!(ask(r#"[{"jsonrpc":"2.0","method":"echo"}]"#).await, None);
    }

    #[tokio::test]
    async fn gives_each_mistake_its_standard_code() {
        assert_eq!(code("{").await, -32700);
        assert_eq!(code("[]").await, -32600);
        assert_eq!(code("1").await, -32600);
        assert_eq!(code(r#"{"id":1,"method":"echo"}"#).await, -32600);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":{},"method":"echo"}"#).await, -32600);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":3}"#).await, -32600);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"nobody"}"#).await, -32601);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#).await, -32602);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"fail"}"#).await, -32007);
    }

    #[tokio::test]
    async fn keeps_the_id_of_a_request_that_is_wrong_otherwise() {
        assert_eq!(ask(r#"{"id":7,"method":"echo"}"#).await.unwrap()["id"], 7);
    }

    #[tokio::test]
    async fn answers_a_batch_with_one_answer_for_each_that_wants_one() {
        let answer = ask(r#"[{"jsonrpc":"2.0","id":1,"method":"echo"},{"jsonrpc":"2.0","method":"echo"},5]"#).await;
        let answers = answer.unwrap();
        assert_eq!(answers.as_array().unwrap().len(), 2);
        assert_eq!(answers[0]["id"], 1);
        assert_eq!(answers[1]["error"]["code"], -32600);
    }

    #[tokio::test]
    async fn refuses_a_batch_longer_than_its_bound() {
        let one = r#"{"jsonrpc":"2.0","id":1,"method":"echo"}"#;
        let batch = format!("[{}]", vec![one; crate::limits::IN_FLIGHT + 1].join(","));
        assert_eq!(ask(&batch).await.unwrap()["error"]["data"]["kind"], "limit");
    }

    #[tokio::test]
    async fn says_the_kind_and_the_next_step() {
        let answer = ask(r#"{"jsonrpc":"2.0","id":1,"method":"fail"}"#).await.unwrap();
        assert_eq!(answer["error"]["data"]["kind"], "locked");
        let answer = ask(r#"{"jsonrpc":"2.0","id":1,"method":"nobody"}"#).await.unwrap();
        assert_eq!(answer["error"]["data"]["hint"], "rpc.discover lists all methods");
    }
}
