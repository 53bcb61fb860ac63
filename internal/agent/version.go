package agent

import (
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// errVersion is in the chain when gateway and agent speak different versions of the control protocol.
var errVersion = errors.New("another version of the control protocol")

// checkVersion refuses a gateway of another version. Its messages could mean something else.
func checkVersion(host string, gateway int) error {
	if gateway == wire.ControlVersion {
		return nil
	}
	text := fmt.Sprintf("the gateway %s speaks version %d of the control protocol, and this agent version %d", host,
		gateway, wire.ControlVersion)
	hint := wire.UpdateAgent
	if gateway < wire.ControlVersion {
		hint = "The gateway must be updated to the agent's release. Until then, install the sallyport-agent of the " +
			"gateway's release and restart it."
	}
	return errkind.New(errkind.Denied, text).WithHint(hint).Because(errVersion)
}

// refusedVersion is what a gateway's close code says of this agent's version.
func refusedVersion(host string, err error) error {
	text := fmt.Sprintf("the gateway %s does not take version %d of the control protocol, which this agent speaks", host,
		wire.ControlVersion)
	return errkind.New(errkind.Denied, text).WithHint(wire.UpdateAgent).Because(fmt.Errorf("%w: %w", errVersion, err))
}
