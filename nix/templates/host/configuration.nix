# What is yours about this machine (disks, boot loader, network) belongs in here, too.
{
  networking.hostName = "box";
  system.stateVersion = "24.11";

  services.mosaic-fleet = {
    enable = true;

    # A shipped roster, with limits for everything of this tenant's.
    tenants.usc = {
      uid = 1001;
      profile = "usc";
      limits = {
        memory_max = "16G";
        cpu_quota = "400%";
      };
    };

    # A roster of one's own, with secrets from a file that is not in the store.
    tenants.lab = {
      uid = 1002;
      roster = {
        defaults.working_directory = "~/src";
        agents = [
          { name = "coder0"; runtime = "claude"; class = "implementer"; }
          { name = "rev0"; runtime = "codex"; class = "reviewer"; limits.memory_max = "4G"; }
        ];
      };
      environmentFiles = [ "/run/secrets/lab-agents" ];
    };
  };
}
