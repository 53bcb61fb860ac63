package wire

// TakenRequest is a channel request of the device (RFC 4254, 5.4) with want-reply and a uint64: so many bytes of
// output, of both streams of the channel, were sent before it. The gateway answers it when the technician's connection
// has taken them.
const TakenRequest = "taken@sallyport"

// OutputWindow is how many bytes of a channel's output a device sends beyond those that were taken. A larger one costs
// the gateway as much memory for each session whose client does not read.
const OutputWindow = 512 << 10
