//! A role that a clinic made for itself, and what makes one valid. Nobody makes one that may more than they may themselves.

use contracts::auth::{RoleInfo, RoleRequest};
use contracts::permission::{Permission, Permissions, Role};
use contracts::problem::{Faults, Problem, ProblemCode};
use contracts::role_name::RoleName;

/// Reads a request for a new role.
pub fn parse(request: &RoleRequest) -> Result<(RoleName, Permissions), Problem> {
    let mut faults = Faults::new();
    let name = faults.take("role", RoleName::parse(&request.role));
    let permissions = permissions(&request.permissions, &mut faults);
    faults.finish(name.zip(permissions))
}

/// Reads what a change makes of a role. The rest may be there, but only as it is.
pub fn change(current: &RoleInfo, changed: &RoleInfo) -> Result<Permissions, Problem> {
    let mut faults = Faults::new();
    for (field, equal) in
        [("role", changed.role == current.role), ("builtIn", changed.built_in == current.built_in)]
    {
        if !equal {
            faults.add(field, "cannot be changed");
        }
    }
    let permissions = permissions(&changed.permissions, &mut faults);
    faults.finish(permissions)
}

fn permissions(names: &[String], faults: &mut Faults) -> Option<Permissions> {
    if names.is_empty() {
        faults.add("permissions", "must have at least one permission");
    }
    let mut all = Permissions::NONE;
    for (at, name) in names.iter().enumerate() {
        match name.parse::<Permission>() {
            Ok(permission) if permission.is_internal() => {
                faults.add(format!("permissions[{at}]"), "is for the parts of the stack: no person has it");
            }
            Ok(permission) => all = all.with(permission),
            Err(()) => faults.add(format!("permissions[{at}]"), "is no permission"),
        }
    }
    faults.is_empty().then_some(all)
}

/// Refuses what somebody would give, or change, who may less than that themselves. `field`: where it stands.
pub fn within(own: Permissions, given: Permissions, field: &str) -> Result<(), Problem> {
    let missing: Vec<_> =
        given.iter().filter(|permission| !own.contains(*permission)).map(Permission::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Problem::new(ProblemCode::Forbidden)
        .detail(format!("Nobody gives what they do not have: {}.", missing.join(", ")))
        .fault(field, "may more than you may yourself"))
}

/// A role that a clinic made, as the API shows it.
pub fn view(name: &RoleName, permissions: Permissions) -> RoleInfo {
    RoleInfo { role: name.clone(), permissions: names(permissions), built_in: false }
}

/// A role that every stack has, as the API shows it.
pub fn view_of_built_in(role: Role) -> RoleInfo {
    RoleInfo { role: role.into(), permissions: names(role.permissions()), built_in: true }
}

fn names(permissions: Permissions) -> Vec<String> {
    permissions.iter().map(|permission| permission.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(role: &str, permissions: &[&str]) -> RoleRequest {
        let permissions = permissions.iter().map(ToString::to_string).collect();
        RoleRequest { role: role.to_owned(), permissions }
    }

    fn faults(role: &str, permissions: &[&str]) -> Vec<String> {
        let problem = parse(&request(role, permissions)).unwrap_err();
        problem.errors.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn a_role_is_its_name_and_what_it_may() {
        let (name, permissions) = parse(&request("lab", &["patients:read", "records:read"])).unwrap();
        assert_eq!((name.as_str(), permissions.to_scope().as_str()), ("lab", "patients:read records:read"));
        let shown = view(&name, permissions);
        assert_eq!(change(&shown, &shown), Ok(permissions));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        assert_eq!(faults("Lab", &[]), ["role", "permissions"]);
        let names = ["patients:read", "patients:burn", "internal:call", "revocations:read"];
        assert_eq!(faults("lab", &names), ["permissions[1]", "permissions[2]", "permissions[3]"]);
    }

    #[test]
    fn nobody_gives_what_they_do_not_have() {
        let of = |scope: &str| Permissions::from_scope(scope);
        assert!(within(of("users:write users:read"), of("users:read"), "role").is_ok());
        let refused = within(of("users:read"), of("users:read bills:write"), "role").unwrap_err();
        assert_eq!((refused.status, refused.errors[0].field.as_str()), (403, "role"));
        assert!(refused.detail.unwrap().ends_with(": bills:write."));
    }
}
