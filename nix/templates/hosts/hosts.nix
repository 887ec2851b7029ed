# The machines by name. What is a machine's own (disks, boot loader, network) belongs to its module.
let
  fleet = tenants: { services.mosaic-fleet = { enable = true; inherit tenants; }; };
in
{
  alpha = {
    imports = [ (fleet { usc = { uid = 1001; profile = "usc"; limits.memory_max = "16G"; }; }) ];
    system.stateVersion = "24.11";
  };

  beta = {
    imports = [
      (fleet {
        lab = { uid = 1001; roster.agents = [{ name = "coder0"; runtime = "claude"; }]; };
        ops = { uid = 1002; roster.agents = [{ name = "watch0"; runtime = "pi"; }]; };
      })
    ];
    system.stateVersion = "24.11";
  };
}
