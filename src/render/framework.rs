//! What agents and operators receive to read: profiles with their schema and the role library, at
//! the same paths below `$MOSAIC_HOME/framework` as below the project's `framework`.

use super::{File, Role, Site};
use crate::roster::{Profile, roles, schema};

/// Its files.
pub fn files(site: &Site) -> Vec<File> {
    let profiles = Profile::ALL.into_iter().map(|p| (format!("fleet/examples/{}", p.file_name()), p.text()));
    let roles = roles::NAMES.iter().filter_map(|name| Some((format!("roles/{name}.md"), roles::text(name)?)));
    let schema = ("fleet/roster.schema.json".to_owned(), schema::TEXT);
    profiles
        .chain(roles)
        .chain([schema])
        .map(|(path, text)| File::new(site.layout.framework().join(path), text.to_owned(), Role::Framework))
        .collect()
}
