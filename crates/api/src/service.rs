//! What every transport does with a request.

use crate::{Fault, openrpc, rpc::Request};
use serde_json::Value;
use waypost_node::{Call, Node};

/// Does one request.
pub(crate) async fn handle(node: &Node, request: Request) -> Result<Value, Fault> {
    if request.method == openrpc::DISCOVER {
        return Ok(openrpc::document());
    }
    let call = Call::parse(&request.method, request.params)?;
    Ok(node.call(call).await?)
}
