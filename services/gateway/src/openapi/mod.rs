//! OpenAPI
use serde_json::Value;
use settings::ServiceName;
/// The whole API.
pub fn merged() -> Value { Value::Null }
/// One service's.
pub fn of_service(_service: ServiceName) -> Value { Value::Null }
