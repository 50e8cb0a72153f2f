//! `spec.auth.identityProviders`.

use contracts::permission::Role;

use crate::fault::Faults;
use crate::spec::IdentityProviderSpec;

/// Forms and doubles are the schema's; these compare with what roles there are.
pub(super) fn check(providers: &[IdentityProviderSpec], faults: &mut Faults) {
    for (index, provider) in providers.iter().enumerate() {
        let path = format!("spec.auth.identityProviders[{index}]");
        for (row, mapped) in provider.roles.iter().enumerate() {
            let why = match mapped.role.parse() {
                Ok(Role::Service) => "service is for services alone",
                Ok(Role::Patient) => "patient is not mapped: the provider does not know which patient it is",
                _ => continue,
            };
            faults.add(format!("{path}.roles[{row}].role"), why);
        }
        if provider.second_factor.as_ref().is_some_and(|it| it.amr.is_empty() && it.acr.is_empty()) {
            faults.add(format!("{path}.secondFactor"), "must have amr, acr or both");
        }
    }
}
