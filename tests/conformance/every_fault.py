"""All faults, in the order of the table in docs/."""

import addon_faults
import addon_faults_altered
import addon_faults_by_one_request
import addon_faults_in_the_manifest
import addon_faults_of_visitors

FAULTS = [
    *addon_faults_in_the_manifest.FAULTS,
    *addon_faults.FAULTS,
    *addon_faults_of_visitors.FAULTS,
    *addon_faults_altered.FAULTS,
    *addon_faults_by_one_request.FAULTS,
]
BY_NAME = {fault.name: fault for fault in FAULTS}
