"""What an audit measures: each module looks at records one by one and ends as a section of the report."""
