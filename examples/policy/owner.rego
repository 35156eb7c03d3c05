# Refuses a plan that drops a subscription which nobody owns: conftest test --policy . plan.json
package main

import rego.v1

dropped contains drop if some drop in input.drops

dropped contains unknown if {
	some unknown in input.unknowns
	not unknown.declared
}

deny contains message if {
	some drop in dropped
	not drop.owner
	message := sprintf("%s %s would be dropped and has no owner", [drop.app, drop.approval_code])
}
