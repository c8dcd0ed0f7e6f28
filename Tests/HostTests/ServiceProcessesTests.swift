import Testing

@testable import Host

struct ServiceProcessesTests {
    /// The lines of /proc/PID/cgroup with versions 1 and 2 of control groups (cgroups(7)).
    @Test func eachHierarchyHasAControlGroup() {
        let text = "12:cpu,cpuacct:/x\n1:name=systemd:/system.slice/a.service\n0::/a:b\nnonsense\n:\n"
        #expect(
            ServiceProcesses.controlGroups(in: text) == [
                "cpu,cpuacct": "/x", "name=systemd": "/system.slice/a.service", "": "/a:b",
            ])
        #expect(ServiceProcesses.controlGroups(in: "").isEmpty)
    }

    @Test func aProcessOutsideOfTheServicesEndsNothing() {
        #expect(ServiceProcesses(prefix: "no-such-service") == nil)
    }
}
