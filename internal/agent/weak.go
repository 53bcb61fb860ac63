package agent

import (
	"os"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/agent/state"
)

func fingerprint(k state.Keys) string { return ssh.FingerprintSHA256(k.Host.PublicKey()) }

// weakened returns a sentence for each promise that the agent cannot keep in full on this device.
func weakened(d state.Dir) []string {
	out := []string{"one process reads from the network and keeps what sessions share: a helper of its own is not apart yet"}
	if fs := d.Volatile(); fs != "" {
		out = append(out, "the state directory lies on "+fs+": a restart forgets which sessions were used")
	}
	if err := proc.CanGroup(); err != nil {
		out = append(out, err.Error()+": processes that a session leaves are found by their parents alone, "+
			"and not at all if the supervisor and the agent were killed together")
	}
	if err := proc.CanKeepApart(); err != nil {
		out = append(out, "sessions under one login can signal and debug each other's programs: "+err.Error())
	}
	if os.Geteuid() != 0 {
		out = append(out, "the agent does not run as root: sessions run as its own user, who can read its keys and change the owner's rules")
	}
	return out
}
