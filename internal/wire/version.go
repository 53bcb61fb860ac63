package wire

import (
	"fmt"
	"slices"
)

// ControlVersion is the version of the control protocol that this release speaks. docs/protocol.md, section 4, has the
// history.
const ControlVersion = 2

// CloseVersion is the WebSocket close code that a gateway sends to a device whose agent does not speak its version. The
// text says what to do. Its number is that of HTTP's 426 Upgrade Required (RFC 9110 section 15.5.22).
const CloseVersion = 4426

// UpdateAgent says how an agent gets another version. A device's supervisors outlive its agent, so no session ends.
const UpdateAgent = "Install the sallyport-agent of the gateway's release on the device and restart it. " +
	"Sessions that run on the device continue."

// OfferedVersions are what an agent of this release names in its hello. It speaks only the last one. It names version 1
// because a gateway of version 1 answers no other hello, and the agent could then not tell what is wrong.
func OfferedVersions() []int { return []int{1, ControlVersion} }

// Speaks reports whether a hello names the version of this release.
func (h *Hello) Speaks() bool { return slices.Contains(h.V, ControlVersion) }

// Newest gives the highest version that a hello names, from 1 on; 0: it names none.
func (h *Hello) Newest() int {
	if len(h.V) == 0 {
		return 0
	}
	return max(0, slices.Max(h.V))
}

// OtherVersion says that an agent speaks another version than this release.
func OtherVersion(agent int) string {
	return fmt.Sprintf("the agent speaks version %d of the control protocol, and this gateway needs version %d",
		agent, ControlVersion)
}
