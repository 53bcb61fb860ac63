package seal

// What a Sealer keeps to, inside the limits of the format.
const (
	SegmentPlain  = 1 << 20
	segmentBody   = 3 << 20
	segmentTimeUs = 60_000_000
	ChunkPlain    = 128 << 10 // frame bytes gathered into one chunk
)
