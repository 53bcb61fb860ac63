package node

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestAGatewayLeavesNoCore(t *testing.T) {
	if err := noCoreDumps(false); err != nil {
		t.Fatal(err)
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil || dumpable != 0 {
		t.Errorf("got dumpable %d, %v; want 0", dumpable, err)
	}
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &l); err != nil || l.Cur != 0 || l.Max != 0 {
		t.Errorf("got a limit of %+v, %v; want 0", l, err)
	}
}
