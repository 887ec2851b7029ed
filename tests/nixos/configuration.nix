# Two tenants, one with a shipped profile and one with a roster of its own, with limits of both kinds: what
# tests/nixos/units holds is /etc/systemd/user of this machine.
{
  networking.hostName = "box";
  services.mosaic-fleet = {
    enable = true;
    tenants.usc = {
      uid = 1001;
      profile = "dogfood";
      limits = { memory_max = "16G"; tasks_max = 512; cpu_quota = "200%"; };
    };
    tenants.lab = {
      uid = 1002;
      roster = {
        defaults.runtime = "dogfood";
        agents = [
          { name = "coder"; class = "implementer"; }
          { name = "solo"; limits.memory_max = "1G"; }
          { name = "off"; state = "stopped"; }
          { name = "task"; lifecycle = "ephemeral"; }
        ];
      };
      environmentFiles = [ "/var/lib/lab/secrets" ];
    };
  };
}
