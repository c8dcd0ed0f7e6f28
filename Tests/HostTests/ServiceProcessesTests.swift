import Testing

@testable import Host

struct ServiceProcessesTests {
    /// The lines of /proc/PID/cgroup with version 2, version 1 and both (cgroups(7)).
    @Test(arguments: [
        "0::/system.slice/a.service\n",
        "12:pids:/x\n2:cpu,cpuacct:/\n1:name=systemd:/system.slice/a.service\n",
        "5:pids:/\n1:name=systemd:/system.slice/a.service\n0::/elsewhere\n",
        "0::/system.slice/a.service\nnonsense\n::\n",
    ])
    func theControlGroupOfTheServiceManagerCounts(text: String) {
        #expect(ServiceProcesses.controlGroup(in: text) == "/system.slice/a.service")
    }

    @Test(arguments: ["", "0:", "1:cpu:/x\n", "\n\n"]) func thereMayBeNone(text: String) {
        #expect(ServiceProcesses.controlGroup(in: text) == nil)
    }

    @Test func aProcessOutsideOfTheServicesEndsNothing() {
        #expect(ServiceProcesses(prefix: "no-such-service") == nil)
    }
}
