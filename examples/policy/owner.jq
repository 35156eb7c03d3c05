# Refuses a plan that drops a subscription which nobody owns: jq -r -f owner.jq plan.json
[.drops[], (.unknowns[] | select(.declared | not)) | select(.owner == null)]
| if . == [] then "every drop has an owner"
  else
    (map([.app, .tenant_key, .approval_code] | map(values) | join("/") + " would be dropped and has no owner\n") | add)
    | halt_error(1)
  end
