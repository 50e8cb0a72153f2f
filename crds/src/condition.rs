//! What the conditions in a stack's status are about, and the reasons that they give. People alert on these: a name here does not change.

/// The types of conditions.
pub mod kind {
    /// Everything that the resource asks for is there and works.
    pub const READY: &str = "Ready";
    /// Something is on its way: a first start, a new version, a changed setting.
    pub const PROGRESSING: &str = "Progressing";
    /// The stack works, but not as it should: a version that was gone back from, pods missing, a field fought over.
    pub const DEGRADED: &str = "Degraded";
    /// The database answers, and each service has its role and schemas there.
    pub const DATABASE_READY: &str = "DatabaseReady";
    /// The schemas are as the version that runs needs them.
    pub const MIGRATIONS_COMPLETE: &str = "MigrationsComplete";
    /// The gateway takes requests, and is reached as the resource says.
    pub const GATEWAY_READY: &str = "GatewayReady";
    /// Somebody else keeps writing a field that is the operator's. Only there while it is so.
    pub const FIELD_CONFLICT: &str = "FieldConflict";

    /// Those that every status has, in the order in which they are shown.
    pub const ALWAYS: [&str; 6] =
        [READY, PROGRESSING, DEGRADED, DATABASE_READY, MIGRATIONS_COMPLETE, GATEWAY_READY];
}

/// The reasons of conditions.
pub mod reason {
    /// It is as it should be.
    pub const AS_EXPECTED: &str = "AsExpected";
    /// The resource breaks a rule; the message names each field. What runs is left as it is.
    pub const INVALID: &str = "Invalid";
    /// `spec.paused` is true: nothing is changed, drift neither.
    pub const PAUSED: &str = "Paused";
    /// The stack is being deleted.
    pub const DELETING: &str = "Deleting";
    /// Another step must be done first.
    pub const WAITING: &str = "Waiting";

    /// Objects are there for the first time and come up.
    pub const STARTING: &str = "Starting";
    /// Pods of a new version or setting take the place of the old ones.
    pub const ROLLING_OUT: &str = "RollingOut";
    /// A new version did not get well. The last healthy one runs again, until the spec changes.
    pub const ROLLED_BACK: &str = "RolledBack";
    /// Pods do not get well, and there is no earlier version to go back to.
    pub const ROLLOUT_FAILED: &str = "RolloutFailed";
    /// Pods are missing.
    pub const PODS_UNAVAILABLE: &str = "PodsUnavailable";
    /// An image cannot be pulled: a version that there is not, or a registry that refuses.
    pub const IMAGE_UNAVAILABLE: &str = "ImageUnavailable";
    /// The namespace's quota leaves no room.
    pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
    /// No node has room for a pod, or is one that it may run on.
    pub const UNSCHEDULABLE: &str = "Unschedulable";
    /// The API server refused an object.
    pub const APPLY_REFUSED: &str = "ApplyRefused";

    /// A Secret that the resource names is not there.
    pub const SECRET_MISSING: &str = "SecretMissing";
    /// A Secret that the resource names has not the key that it names.
    pub const SECRET_KEY_MISSING: &str = "SecretKeyMissing";
    /// The key-encryption key is gone while data is there that it seals. Nothing is started.
    pub const KEK_MISSING: &str = "KekMissing";

    /// The database cannot be reached.
    pub const DATABASE_UNREACHABLE: &str = "DatabaseUnreachable";
    /// The database refuses the user, or does not let them make schemas and roles.
    pub const DATABASE_REFUSES: &str = "DatabaseRefuses";
    /// The volume waits for its storage.
    pub const VOLUME_PENDING: &str = "VolumePending";
    /// The database is being filled from a backup.
    pub const RESTORING: &str = "Restoring";
    /// The backup cannot be restored.
    pub const RESTORE_FAILED: &str = "RestoreFailed";
    /// The last backup failed.
    pub const BACKUP_FAILED: &str = "BackupFailed";

    /// Migration Jobs run.
    pub const MIGRATING: &str = "Migrating";
    /// A migration failed. The services of the version before go on.
    pub const MIGRATION_FAILED: &str = "MigrationFailed";

    /// The Ingress class does not exist.
    pub const INGRESS_CLASS_MISSING: &str = "IngressClassMissing";
    /// The load balancer, or the Gateway, has given no address yet.
    pub const ADDRESS_PENDING: &str = "AddressPending";
    /// The Gateway does not take the route.
    pub const ROUTE_NOT_ACCEPTED: &str = "RouteNotAccepted";
    /// What the resource asks for needs a kind that the cluster does not know (CloudNativePG, the Gateway API).
    pub const KIND_MISSING: &str = "KindMissing";

    /// Somebody else keeps writing a field that is the operator's.
    pub const FOUGHT_OVER: &str = "FoughtOver";
    /// A keys' rotation is under way.
    pub const ROTATING: &str = "Rotating";
    /// Not all keys can be wrapped under another key-encryption key. Both stay, and nothing is lost.
    pub const ROTATION_FAILED: &str = "RotationFailed";
}
