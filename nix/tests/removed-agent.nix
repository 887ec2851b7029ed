# An agent that the next configuration lacks ends, and leaves nothing that would start it again.
{ lib, ... }:

let
  agents = names: map (name: { inherit name; runtime = "dogfood"; }) names;
in
{
  name = "mosaic-fleet-removed-agent";

  nodes.machine = {
    services.mosaic-fleet = {
      enable = true;
      tenants.usc = { uid = 1001; roster.agents = lib.mkDefault (agents [ "stays" "goes" ]); };
    };
    specialisation.smaller.configuration = {
      services.mosaic-fleet.tenants.usc.roster.agents = agents [ "stays" ];
    };
  };

  testScript = ''
    as_usc = "runuser -u usc -- env -i HOME=/home/usc PATH=/run/current-system/sw/bin "
    machine.wait_for_unit("user@1001.service")
    machine.wait_until_succeeds(as_usc + "fleet verify", timeout=120)
    machine.succeed("/run/current-system/specialisation/smaller/bin/switch-to-configuration test")
    machine.succeed(as_usc + "fleet apply")
    machine.fail(as_usc + "tmux -L mosaic-factory has-session -t =goes")
    machine.succeed("test ! -e /home/usc/.config/mosaic/fleet/agents/goes.env")
    machine.succeed(as_usc + "fleet verify")
  '';
}
