//! The description of all methods as an OpenRPC document, made from the types that serve them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use waypost_node::method::{Description, Done, Nothing};
use waypost_node::{Event, method};

/// Gives this document.
pub(crate) const DISCOVER: &str = "rpc.discover";
/// Turns events on, on transports of lines.
pub(crate) const SUBSCRIBE: &str = "events.subscribe";
/// Turns events off again.
pub(crate) const UNSUBSCRIBE: &str = "events.unsubscribe";
/// The notification that carries an event.
pub(crate) const EVENT: &str = "event";

/// Where schemas of types are in the document.
const SCHEMAS: &str = "/components/schemas";

/// The OpenRPC 1.3 document of the API.
pub fn document() -> Value {
    let mut generator =
        SchemaSettings::draft07().with(|settings| settings.definitions_path = SCHEMAS.into()).into_generator();
    let mut methods: Vec<Value> = method::descriptions().iter().map(|it| describe(it, &mut generator)).collect();
    for (name, about) in [
        (SUBSCRIBE, "Turns on notifications named \"event\" on this connection; over HTTP use GET /events instead."),
        (UNSUBSCRIBE, "Turns the notifications off again."),
    ] {
        let (params, result) = (subschema::<Nothing>, subschema::<Done>);
        methods.push(describe(&Description { name, about, params, result }, &mut generator));
    }
    let event = generator.subschema_for::<Event>();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Waypost",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "JSON-RPC 2.0 on a unix socket, on standard input and output, and over HTTP on this machine.",
        },
        "methods": methods,
        "x-notifications": [{ "name": EVENT, "params": event }],
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn subschema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn describe(method: &Description, generator: &mut SchemaGenerator) -> Value {
    let params = (method.params)(generator);
    let result = (method.result)(generator);
    json!({
        "name": method.name,
        "summary": method.about,
        "paramStructure": "by-name",
        "params": by_name(&params, generator),
        "result": { "name": "result", "schema": result },
    })
}

/// The fields of a parameter object, one content descriptor each.
fn by_name(params: &Schema, generator: &SchemaGenerator) -> Vec<Value> {
    let object = resolve(params, generator);
    let no_fields = Map::new();
    let fields = object.get("properties").and_then(Value::as_object).unwrap_or(&no_fields);
    let required = |name: &str| {
        object.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|it| it == name))
    };
    let mut descriptors: Vec<Value> = fields
        .iter()
        .map(|(name, schema)| json!({ "name": name, "required": required(name), "schema": schema }))
        .collect();
    // OpenRPC wants those that must be given first.
    descriptors.sort_by_key(|it| it.get("required") != Some(&Value::Bool(true)));
    descriptors
}

fn resolve<'a>(schema: &'a Schema, generator: &'a SchemaGenerator) -> &'a Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    name.and_then(|name| generator.definitions().get(name)).unwrap_or(schema.as_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_every_method_with_params_that_must_be_given_first() {
        let document = document();
        let methods = document["methods"].as_array().unwrap();
        assert_eq!(methods.len(), method::descriptions().len() + 2);
        let send = methods.iter().find(|method| method["name"] == "letters.send").unwrap();
        let params: Vec<(&str, bool)> = send["params"]
            .as_array()
            .unwrap()
            .iter()
            .map(|param| (param["name"].as_str().unwrap(), param["required"].as_bool().unwrap()))
            .collect();
        assert_eq!(params, [("body", true), ("to", true), ("id", false)]);
        assert_eq!(send["result"]["schema"]["$ref"], "#/components/schemas/SentLetter");
    }

    #[test]
    fn names_no_schema_that_is_not_there() {
        let document = document();
        let mut open = vec![&document];
        while let Some(value) = open.pop() {
            if let Some(path) = value.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(path.strip_prefix('#').unwrap()).is_some(), "{path}");
            }
            match value {
                Value::Object(object) => open.extend(object.values()),
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
    }
}
