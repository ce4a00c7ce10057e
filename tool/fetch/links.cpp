// The commands behind links.hpp. Interfaces are numbered in the order of the system file.
#include "fetch/links.hpp"

#include <fmt/format.h>

namespace mezzo::fetch {

namespace {

constexpr char kProgram[] = "/sbin/mezzo-slip";

// {0}: number of the interface, {1}: of the port, {2}: our address, {3}: the other end's.
constexpr std::string_view kAttach = R"sh(/sbin/mezzo-slip /dev/ttyS{1} &
while kill -0 $! 2>/dev/null && [ ! -e /sys/class/net/sl{0} ]; do sleep 0.1; done
ip addr add {2} peer {3} dev sl{0}
ip link set sl{0} mtu 1500 up
)sh";

// The partition with a network card answers for its neighbours on that network (proxy ARP), so
// that QEMU's user network needs no route to them.
constexpr std::string_view kForward = R"sh(echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv4/conf/all/proxy_arp
)sh";

constexpr std::string_view kUseForwarder = R"sh(ip route add default dev sl{0}
echo nameserver 10.0.2.3 >/etc/resolv.conf
)sh";

}  // namespace

void add_links(const system::System& system, const system::Partition& partition,
               const std::filesystem::path& slip_program, system::InitramfsSpec& spec) {
  std::string script;
  unsigned interface = 0;
  for (const system::Link& link : system.links) {
    for (std::size_t side = 0; side < link.ends.size(); ++side) {
      const system::LinkEnd &here = link.ends[side], &there = link.ends[1 - side];
      if (&system.partitions[here.partition] != &partition) continue;
      script += fmt::format(kAttach, interface, here.com - 1, here.address, there.address);
      if (partition.network) {
        script += kForward;
      } else if (system.partitions[there.partition].network) {
        script += fmt::format(kUseForwarder, interface);
      }
      ++interface;
    }
  }
  if (script.empty()) return;
  spec.modules.emplace_back("slip");
  spec.files.emplace(kProgram, slip_program);
  spec.script.insert(0, script);
}

}  // namespace mezzo::fetch
