# A machine that was just installed has its fleet up, and proves it, before anybody has logged in.
{ ... }:

{
  name = "mosaic-fleet-first-boot";

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
    machine.succeed("test -z \"$(loginctl list-sessions --no-legend | grep usc)\"")
    machine.succeed(as_usc + "fleet plan | grep 'Nothing to do'")
    machine.succeed("test -L /etc/systemd/user/mosaic-tmux-holder.service")
    machine.succeed("test ! -e /home/usc/.config/systemd")
  '';
}
