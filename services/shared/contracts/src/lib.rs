//! What the services promise each other and the world: ids, shapes, events, and every route with its permission.
//!
//! An operation is declared once, with [`api!`]; from that come the server's route, the gateway's route, the typed client and the
//! documentation. No axum and no sqlx here: domain rules belong to the services, not to the shapes.

pub mod ambient;
pub mod amendments;
pub mod appointment_answers;
pub mod appointment_bodies;
pub mod appointment_history;
pub mod appointments;
pub mod audit;
pub mod audit_verification;
pub mod auth;
pub mod availability;
pub mod bills;
pub mod break_glass;
pub mod care_team;
#[cfg(feature = "client")]
pub mod client;
pub mod compliance;
pub mod consents;
pub mod credentials;
pub mod deadline;
pub mod deliveries;
pub mod devices;
pub mod endpoint;
pub mod erasure;
pub mod event;
pub mod exclusions;
pub mod export;
pub mod feeds;
pub mod field;
pub mod gateway;
pub mod holds;
pub mod hours;
pub mod id;
pub mod kek;
pub mod keys;
pub mod links;
pub mod local_time;
pub mod merge_patch;
pub mod money;
pub mod notifications;
pub mod oidc;
pub mod origin;
pub mod outside_calendars;
pub mod page;
pub mod patients;
pub mod permission;
pub mod preferences;
pub mod problem;
pub mod providers;
pub mod records;
pub mod referrals;
pub mod reports;
pub mod reschedule;
pub mod retention;
pub mod role_name;
pub mod schedules;
pub mod second_factor;
pub mod secret;
pub mod series;
mod shared;
pub mod slot_holds;
pub mod stand_in;
pub mod statistics;
pub mod target;
pub mod templates;
#[cfg(feature = "deadline")]
pub mod trail;
pub mod waitlist;
pub mod webhooks;

use endpoint::Operation;

/// Every operation of every service, internal ones included.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    [
        patients::API,
        appointments::API,
        bills::API,
        records::API,
        notifications::API,
        providers::API,
        auth::API,
        gateway::API,
    ]
    .into_iter()
    .flatten()
    .copied()
}
