# What rules look up in the same way.


def association_of(wildcards):
    """Return the name of the association of a ``_crf`` and of what the search for its outliers makes."""
    return plan.stage3.crf_of(wildcards.crf).association
