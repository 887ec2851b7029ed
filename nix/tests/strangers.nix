# Two tenants on one machine have nothing of each other, and a user without a fleet has nothing of either.
{ ... }:

{
  name = "mosaic-fleet-strangers";

  nodes.machine = {
    services.mosaic-fleet = {
      enable = true;
      tenants.usc = { uid = 1001; profile = "dogfood"; };
      tenants.lab = { uid = 1002; roster.agents = [{ name = "solo"; runtime = "dogfood"; }]; };
    };
    users.users.guest = { isNormalUser = true; uid = 1003; linger = true; };
  };

  testScript = ''
    def as_user(user, command):
        return f"runuser -u {user} -- env -i HOME=/home/{user} XDG_RUNTIME_DIR=/run/user/$(id -u {user}) PATH=/run/current-system/sw/bin {command}"
    for user, uid in [("usc", 1001), ("lab", 1002), ("guest", 1003)]:
        machine.wait_for_unit(f"user@{uid}.service")
    for tenant in ["usc", "lab"]:
        machine.wait_until_succeeds(as_user(tenant, "fleet verify"), timeout=120)
    machine.fail(as_user("usc", "tmux -L mosaic-factory has-session -t =solo"))
    machine.fail(as_user("usc", "tmux -S /tmp/tmux-1002/mosaic-factory list-sessions"))
    machine.fail(as_user("usc", "ls /home/lab"))
    machine.succeed(as_user("guest", "systemctl --user is-active default.target"))
    machine.fail("pgrep -u guest tmux")
    machine.fail(as_user("guest", "systemctl --user is-failed 'mosaic-*'"))
  '';
}
