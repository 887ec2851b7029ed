//! What is read at each call or start: the script entry points and the tmux server's configuration.

use minijinja::context;

use super::site::Places;
use super::templates::Template;
use super::{File, RenderError, Role, Site};
use crate::roster::{Roster, Transport};

/// The scripts, and the server's configuration where there is a server.
pub fn files(roster: &Roster, site: &Site, places: &Places<'_>) -> Result<Vec<File>, RenderError> {
    let start =
        Template::StartScript.render(context! { mosaic => places.mosaic, program => places.program })?;
    let mut files = vec![File::new(site.layout.start_script(), start, Role::Script)];
    if roster.transport == Transport::Tmux {
        let text = Template::TmuxConf.render(context! {})?;
        files.push(File::new(site.layout.tmux_conf(), text, Role::TmuxConf));
        let socket = roster.socket.as_str();
        let send = Template::SendScript.render(context! { socket => socket })?;
        files.push(File::new(site.layout.send_script(), send, Role::Script));
        let agent_send =
            Template::AgentSendScript.render(context! { program => places.program, socket => socket })?;
        files.push(File::new(site.layout.agent_send_script(), agent_send, Role::Script));
    }
    Ok(files)
}
