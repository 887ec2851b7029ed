# After a reboot the fleet is back by itself.
{ ... }:

{
  name = "mosaic-fleet-reboot";

  nodes.machine = {
    services.mosaic-fleet = {
      enable = true;
      tenants.usc = { uid = 1001; profile = "dogfood"; };
    };
  };

  testScript = ''
    as_usc = "runuser -u usc -- env -i HOME=/home/usc PATH=/run/current-system/sw/bin "
    machine.wait_for_unit("user@1001.service")
    machine.wait_until_succeeds(as_usc + "fleet verify", timeout=120)
    machine.shutdown()
    machine.start()
    machine.wait_for_unit("user@1001.service")
    machine.wait_until_succeeds(as_usc + "fleet verify", timeout=120)
    machine.succeed(as_usc + "fleet verify --json | grep '\"survived_boot\": *true'")
  '';
}
