package leasehold

import (
	"regexp"
	"strings"
)

// options of this client by the fields of the contract; what follows a field, such as the key of an entry of metadata,
// is kept.
var optionNames = map[string]string{
	"ttl": "TTL", "min_hold": "MinHold", "max_hold": "MaxHold", "owner": "Owner", "lease_id": "LeaseID",
	"metadata": "Metadata", "permits.permits": "Permits(permits)", "permits.limit": "Permits(limit)",
	"wait_timeout": "Wait", "operation_id": "ID", "type": "Type", "data": "Data", "labels": "Labels",
	"heartbeat_timeout": "Heartbeat", "time_to_live": "TimeToLive", "lock": "LockTTL", "lock.ttl": "LockTTL",
	"max_attempts": "MaxAttempts", "types": "Types", "resource_prefix": "ResourcePrefix",
	"max_operations": "Concurrency",
}

var (
	oneOfMany  = regexp.MustCompile(`^specs\[(\d+)\]\.resource$`)
	ofTheSpecs = regexp.MustCompile(`^(spec|specs\[\d+\])\.`)
)

// optionOf is what users of this client call a field of the contract: "spec.min_hold" is MinHold.
func optionOf(field string) string {
	if oneOfMany.MatchString(field) {
		return oneOfMany.ReplaceAllString(field, "resources[$1]")
	}
	if field == "specs" {
		return "resources"
	}
	path := ofTheSpecs.ReplaceAllString(field, "")
	for end := len(path); end > 0; end = strings.LastIndexAny(path[:end], ".[") {
		if option, ok := optionNames[path[:end]]; ok {
			return option + path[end:]
		}
	}
	return path
}
