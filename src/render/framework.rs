//! What agents and operators receive: profiles with their schemas, the role library and what the
//! runtimes load, at the same paths below `$MOSAIC_HOME/framework` as below the project's `framework`.

use super::{File, Role, Site};
use crate::roster::{Profile, roles, schema};

/// What a runtime loads so that it beats and acknowledges.
const ADAPTERS: [(&str, &str); 1] =
    [("runtime/pi/mosaic.ts", include_str!("../../framework/runtime/pi/mosaic.ts"))];

/// What editors check an admin's declarations of tenants with.
const TENANT_SCHEMA: &str = include_str!("../../framework/fleet/tenant.schema.json");

/// Its files.
pub fn files(site: &Site) -> Vec<File> {
    let profiles = Profile::ALL.into_iter().map(|p| (format!("fleet/examples/{}", p.file_name()), p.text()));
    let roles = roles::NAMES.iter().filter_map(|name| Some((format!("roles/{name}.md"), roles::text(name)?)));
    let adapters = ADAPTERS.into_iter().map(|(path, text)| (path.to_owned(), text));
    let schemas = [("roster", schema::TEXT), ("tenant", TENANT_SCHEMA)];
    let schemas = schemas.into_iter().map(|(of, text)| (format!("fleet/{of}.schema.json"), text));
    profiles
        .chain(roles)
        .chain(adapters)
        .chain(schemas)
        .map(|(path, text)| File::new(site.layout.framework().join(path), text.to_owned(), Role::Framework))
        .collect()
}
